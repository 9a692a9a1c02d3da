//! Every query of every dashboard and rule gives something, on a real Prometheus that looks at a real control plane.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use tests::{
    monitoring::{DASHBOARDS, GLOBAL_RULES, MOVED_ELSEWHERE, RULES, documented, filled, queries, rules},
    patience::{SOON, eventually},
    programs::checkout,
    prometheus::{now, promtool},
    trials::alone,
};

use super::{exposition::classic, picture, stage::Stage};

/// Nothing has happened yet that these count: panels with their queries.
const EMPTY_IN_HEALTH: [(&str, &str); 8] = [
    ("Sidecars that did not run", "B"),
    ("Missed pods", "A"),
    ("Errors and sheds", "C"),
    ("Wait for a slot", "A"),
    ("Pods that were skipped", "A"),
    ("Connections closed", "A"),
    ("Report calls turned away", "A"),
    ("Missed pods", "B"),
];
/// No review ever waits here, and nobody is evicted without the overlay for it.
const ALWAYS_EMPTY: [(&str, &str); 2] = [("Wait for a slot", "A"), ("Missed pods", "B")];
/// What a bad day of ours makes alerts of.
const BAD_DAY: [&str; 3] =
    ["KubeBoosterFailedOpen", "KubeBoosterInjectionPaused", "KubeBoosterWarmupsFailing"];
/// And an outage.
const OUTAGE: [&str; 4] =
    ["KubeBoosterDown", "KubeBoosterPodsMissed", "KubeBoosterReplicaDown", "KubeBoosterWebhookBypassed"];
/// Seen by those who look while a lease changes hands, or on a machine that is busy with other things.
const POSSIBLE: [&str; 5] = [
    "KubeBoosterCertificateFailures",
    "KubeBoosterGatesNotOpened",
    "KubeBoosterNotOneLeader",
    "KubeBoosterReviewsShed",
    "KubeBoosterWebhookSlow",
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![alone(
        "every query of the dashboards and rules works on a real Prometheus, on good and on bad days",
        Duration::from_mins(5) + picture::time(),
        good_and_bad_days,
    )]
}

async fn good_and_bad_days() -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    let waves = picture::waves();
    for wave in 0..waves {
        tokio::try_join!(stage.warm(wave), stage.reviews(50))?;
    }
    nothing_is_empty(&stage, &EMPTY_IN_HEALTH).await?;
    rules_work(&stage).await?;
    pods_can_be_counted(&stage).await?;
    let mut alerts = BTreeSet::new();
    let rest = eventually("alerts that rest", SOON, async || {
        alerts = stage.alerts().await?;
        alerts.retain(|name| !POSSIBLE.contains(&name.as_str()));
        Ok(alerts.is_empty().then_some(()))
    });
    rest.await.with_context(|| format!("on a good day: {alerts:?}"))?;

    tokio::try_join!(
        stage.sick_app(),
        stage.silent_sidecars(),
        stage.missing_image(),
        stage.strangers(),
        stage.watcher()
    )?;
    let mut seen = stage.until_alerted(&BAD_DAY).await?;
    seen.extend(stage.outage().await?);
    stage.warm(waves).await?;
    seen.extend(stage.until_alerted(&["KubeBoosterPodsMissed"]).await?);
    nothing_is_empty(&stage, &ALWAYS_EMPTY).await?;
    seen.retain(|name| !BAD_DAY.iter().chain(&OUTAGE).chain(&POSSIBLE).any(|known| known == name));
    ensure!(seen.is_empty(), "alerts of what did not happen: {seen:?}");
    metrics_move(&stage).await?;
    picture::keep(&stage).await
}

/// Every query of the dashboards but those of `allowed` has given a number since the stage was set.
async fn nothing_is_empty(stage: &Stage, allowed: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut empty = Vec::new();
    for dashboard in DASHBOARDS {
        let queries = queries(dashboard)?.into_iter();
        let wanted = queries.filter(|query| !allowed.contains(&(query.title.as_str(), query.name.as_str())));
        empty.extend(wanted.map(|query| (dashboard, filled(&query.expression, "10s", "5m"))));
    }
    let answered = eventually("a number for each query", SOON, async || {
        let mut still = Vec::new();
        for (dashboard, expression) in empty.drain(..) {
            let prometheus = stage.prometheus_of(dashboard);
            if prometheus.range(&expression, (stage.since, now()), 1.0).await?.is_empty() {
                still.push((dashboard, expression));
            }
        }
        empty = still;
        Ok(empty.is_empty().then_some(()))
    });
    answered.await.with_context(|| format!("without an answer: {empty:#?}"))
}

/// Every rule was evaluated without an error, and whatever is recorded has a value.
async fn rules_work(stage: &Stage) -> anyhow::Result<()> {
    for prometheus in [&stage.local, &stage.global] {
        eventually("rules that were evaluated", SOON, async || {
            let rules = prometheus.rules().await?;
            let wrong = rules.iter().find(|rule| rule["health"] == "err");
            ensure!(wrong.is_none(), "{wrong:?}");
            Ok(rules.iter().all(|rule| rule["health"] == "ok").then_some(()))
        })
        .await?;
    }
    for manifest in RULES.into_iter().chain([GLOBAL_RULES]) {
        for record in rules(manifest)?.iter().filter_map(|rule| rule["record"].as_str()) {
            eventually(record, SOON, async || {
                let found = stage.prometheus_of(manifest).range(record, (stage.since, now()), 1.0).await?;
                Ok((!found.is_empty()).then_some(()))
            })
            .await?;
        }
    }
    Ok(())
}

/// What prometheus-adapter would ask for has a value for each of our pods.
async fn pods_can_be_counted(stage: &Stage) -> anyhow::Result<()> {
    let rules = std::fs::read_to_string(checkout().join("manifests/overlays/autoscale/adapter-rules.yaml"))?;
    let rules: Value = serde_saphyr::from_str(&rules)?;
    for rule in rules["rules"].as_array().context("rules")? {
        let series = rule["seriesQuery"].as_str().context("a series")?;
        let (name, labels) = series.split_once('{').context("labels")?;
        let query = rule["metricsQuery"].as_str().context("a query")?;
        let query = query.replace("<<.Series>>", name).replace("<<.GroupBy>>", "namespace, pod");
        let query = query.replace("<<.LabelMatchers>>", labels.trim_end_matches('}'));
        let found = stage.local.range(&query, (stage.since, now()), 1.0).await?;
        let wanted = [("namespace", "kube-booster-system"), ("pod", "kube-booster-0")];
        let wanted = wanted.map(|(label, value)| (label.to_owned(), value.to_owned())).into();
        ensure!(found.len() == 1 && found[0].labels == wanted, "{query}: {found:?}");
    }
    Ok(())
}

/// All metrics have names and units as promtool wants them, and all but those that other tests move have moved here.
async fn metrics_move(stage: &Stage) -> anyhow::Result<()> {
    let answer = stage.world.metrics().await?;
    let (_, text) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
    let said = promtool(stage.world.api.folder(), &["check", "metrics"], &classic(text))?;
    ensure!(said.is_empty(), "promtool check metrics: {said}");
    let mut still = Vec::new();
    for metric in documented()? {
        let is_moved = stage.is_moved(&metric).await? || stage.is_moved(&format!("{metric}_count")).await?;
        let is_elsewhere = MOVED_ELSEWHERE.iter().any(|(name, _)| *name == metric);
        if !is_moved && !is_elsewhere {
            still.push(metric);
        }
    }
    ensure!(still.is_empty(), "nothing moves {still:?}");
    Ok(())
}
