//! What the dashboards' panels show, kept for `hack/dashboard.sh` to draw.

use std::{env, fs, time::Duration};

use serde_json::{Value, json};
use tests::{
    monitoring::{DASHBOARDS, filled, queries},
    prometheus::now,
};

use super::stage::Stage;

/// Names the file in which the panels' data are wanted.
const WANTED: &str = "KUBE_BOOSTER_DASHBOARD_DATA";
/// A picture shows some minutes.
const WAVES: usize = 40;

/// How many waves of pods are warmed on a good day.
pub(crate) fn waves() -> usize {
    if env::var_os(WANTED).is_some() { WAVES } else { 2 }
}

/// What all these take longer.
pub(crate) fn time() -> Duration {
    if env::var_os(WANTED).is_some() { Duration::from_mins(8) } else { Duration::ZERO }
}

/// Keeps what every query has given since the stage was set, where somebody wants it.
pub(crate) async fn keep(stage: &Stage) -> anyhow::Result<()> {
    let Some(file) = env::var_os(WANTED) else { return Ok(()) };
    let (start, end) = (stage.since, now());
    let mut dashboards = Vec::new();
    for dashboard in DASHBOARDS {
        let mut panels = Vec::new();
        for query in queries(dashboard)? {
            let expression = filled(&query.expression, "10s", &format!("{:.0}s", end - start));
            let series = stage.prometheus_of(dashboard).range(&expression, (start, end), 1.0).await?;
            panels.push(json!({"panel": query.panel, "query": query.name, "series": series}));
        }
        dashboards.push(json!({"dashboard": dashboard, "queries": panels}));
    }
    let all: Value = json!({"start": start, "end": end, "dashboards": dashboards});
    Ok(fs::write(file, all.to_string())?)
}
