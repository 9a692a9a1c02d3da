//! What the figures should be, and which of them are not.

use super::{
    figures::{self, Figures},
    table::Table,
};

/// Most bytes of a sidecar that has nothing left to do.
pub(crate) const PARKED: f64 = 64.0 * 1_024.0;
/// With glibc's static library; with musl 3 MiB, which the build checks.
const IMAGE: f64 = 3.5 * 1_048_576.0;

/// A figure with its limit.
struct Goal {
    what: String,
    figure: String,
    limit: Limit,
}

enum Limit {
    Most(f64),
    Least(f64),
    /// This share of what another program took in the same run.
    Share(f64, String),
}

fn goals(rates: &[u32]) -> Vec<Goal> {
    let goal =
        |what: &str, figure: &str, limit| Goal { what: what.to_owned(), figure: figure.to_owned(), limit };
    let mut goals = Vec::new();
    for rate in rates {
        let (p50, p99) =
            (format!("schedule_error_p50_seconds_{rate}"), format!("schedule_error_p99_seconds_{rate}"));
        let vegeta = Limit::Share(0.25, format!("vegeta_{p50}"));
        goals.push(goal(&format!("off schedule at {rate}/s, p50, of vegeta's"), &p50, vegeta));
        goals.push(goal(&format!("off schedule at {rate}/s, p99"), &p99, Limit::Most(0.25e-3)));
    }
    let cpu = Limit::Share(1.0 / 3.0, "vegeta_cpu_per_1000_requests_seconds".to_owned());
    goals.extend([
        goal("a stall of 500 ms at 100/s, in the reported p99", "stall_p99_seconds", Limit::Least(0.44)),
        goal("image", "image_bytes", Limit::Most(IMAGE)),
        goal("resident at most", "peak_rss_bytes", Limit::Most(3e6)),
        goal("private", "private_bytes", Limit::Most(300e3)),
        goal("threads", "threads", Limit::Most(1.0)),
        goal("processor time of 1,000 requests, of vegeta's", "cpu_per_1000_requests_seconds", cpu),
        goal("process start to first probe, p99", "first_probe_p99_seconds", Limit::Most(5e-3)),
        goal("parked", "parked_rss_bytes", Limit::Most(PARKED)),
        goal("good answer to first request, p99", "good_answer_to_request_p99_seconds", Limit::Most(60e-3)),
        goal("SIGTERM to exit, parked, p99", "sigterm_to_exit_p99_seconds", Limit::Most(100e-3)),
    ]);
    goals
}

/// All goals with what became of them.
pub(crate) fn table(figures: &Figures, rates: &[u32]) -> Table {
    let mut table = Table::new("Goals", ["goal", "limit", "measured", ""]);
    for goal in goals(rates) {
        let unit = unit(&goal.figure);
        let value = figures.get(&goal.figure);
        let (limit, is_met) = match &goal.limit {
            Limit::Most(most) => (figures::text(unit, *most), value <= *most),
            Limit::Least(least) => (format!("at least {}", figures::text(unit, *least)), value >= *least),
            Limit::Share(share, other) => {
                let most = share * figures.get(other);
                (figures::text(unit, most), value <= most)
            }
        };
        let verdict = if is_met { "met" } else { "missed" };
        table.add([goal.what, limit, figures::text(unit, value), verdict.to_owned()]);
    }
    table
}

/// The unit in the name of a figure, which a rate may follow.
pub(crate) fn unit(figure: &str) -> &str {
    figure.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_')
}
