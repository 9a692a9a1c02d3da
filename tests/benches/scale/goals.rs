//! What the figures should be, and which of them are not.

use super::{
    figures::{self, Figures},
    table::Table,
};

/// A figure with its limit.
struct Goal {
    what: &'static str,
    figure: String,
    limit: f64,
    /// Figures that say what it is made of, as far as that was measured.
    parts: Vec<(&'static str, String)>,
}

fn goals(pods: usize) -> Vec<Goal> {
    let goal = |what, figure: &str, limit, parts: &[(&'static str, &str)]| {
        let with_pods = |name: &str| name.replace("PODS", &pods.to_string());
        let parts = parts.iter().map(|(what, name)| (*what, with_pods(name))).collect();
        Goal { what, figure: with_pods(figure), limit, parts }
    };
    let creation = [
        ("the larger pod", "webhook_larger_pod_p50_PODS_seconds"),
        ("mean of the API server's call", "webhook_call_mean_PODS_seconds"),
        ("in it our answer", "webhook_answer_mean_PODS_seconds"),
    ];
    let report = [
        ("p50", "report_to_true_100_p50_PODS_seconds"),
        ("p99 at 10/s", "report_to_true_10_p99_PODS_seconds"),
    ];
    let memory = [
        ("without pods", "rss_0_bytes"),
        ("each waiting pod", "waiting_pod_bytes"),
        ("the program's own pages", "rss_program_PODS_bytes"),
    ];
    let restarted = [("at most", "rss_restarted_peak_PODS_bytes")];
    // 4 s for a storm of 10,000.
    #[expect(clippy::cast_precision_loss)]
    let storm_limit = 400e-6 * pods as f64;
    let storm = [
        ("as many handshakes", "storm_handshakes_cpu_seconds"),
        ("tries in all", "storm_tries"),
        ("it lasted", "storm_lasted_seconds"),
    ];
    vec![
        goal("added to a creation by the webhook, p50", "webhook_added_p50_seconds", 1e-3, &creation),
        goal("from report to True, p99 at 100/s", "report_to_true_p99_seconds", 50e-3, &report),
        goal("memory with all pods waiting", "rss_PODS_bytes", 24e6, &memory),
        goal("memory after a restart among them", "rss_restarted_PODS_bytes", 24e6, &restarted),
        goal("processor time of the storm", "storm_cpu_seconds", storm_limit, &storm),
        goal("reports that the storm lost", "storm_lost", 0.0, &[]),
        goal("pods missed by a rolling restart", "rolling_restart_missed", 0.0, &[]),
        goal("fastest growth for ten times the pods", "growth_most_times", 10.0, &[]),
    ]
}

/// All goals with what became of them.
pub(crate) fn table(figures: &Figures, pods: usize) -> Table {
    let mut table = Table::new("Goals", ["goal", "limit", "measured", "", "made of"]);
    for goal in goals(pods) {
        let value = figures.get(&goal.figure);
        let parts: Vec<String> =
            goal.parts.iter().map(|(what, name)| format!("{what} {}", figures.text(name))).collect();
        table.add([
            goal.what.to_owned(),
            figures::text(&goal.figure, goal.limit),
            figures.text(&goal.figure),
            verdict(value, goal.limit),
            parts.join(", "),
        ]);
    }
    table
}

/// NaN, which was not measured, is missed as well.
fn verdict(value: f64, limit: f64) -> String {
    if value <= limit {
        return "met".to_owned();
    }
    if limit > 0.0 && value.is_finite() {
        format!("missed by {:.0} %", 100.0 * (value / limit - 1.0))
    } else {
        "missed".to_owned()
    }
}
