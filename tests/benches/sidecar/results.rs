//! The tables that a run ends with.

use super::{
    figures::{self, Figures},
    goals::{self, unit},
    sizes::Sizes,
    table::Table,
};

/// All tables, in the order in which they are read.
pub(crate) fn tables(figures: &Figures, sizes: &Sizes) -> String {
    let tables = [
        precision(figures, sizes, "error", "Off schedule, counted from the earliest arrival"),
        precision(figures, sizes, "spread", "The same, counted from the median arrival"),
        stall(figures, sizes),
        cost(figures, sizes),
        start(figures, sizes),
        goals::table(figures, &sizes.rates),
    ];
    tables.iter().map(ToString::to_string).collect()
}

fn text(figures: &Figures, name: &str) -> String {
    figures::text(unit(name), figures.get(name))
}

fn precision(figures: &Figures, sizes: &Sizes, what: &str, title: &str) -> Table {
    let head = ["requests/s", "kube-booster p50", "p99", "vegeta p50", "p99", "oha p50", "p99"];
    let mut table = Table::new(title, head);
    for rate in &sizes.rates {
        let of = |prefix: &str, quantile: &str| {
            text(figures, &format!("{prefix}schedule_{what}_{quantile}_seconds_{rate}"))
        };
        table.add([
            rate.to_string(),
            of("", "p50"),
            of("", "p99"),
            of("vegeta_", "p50"),
            of("vegeta_", "p99"),
            of("oha_", "p50"),
            of("oha_", "p99"),
        ]);
    }
    table
}

fn stall(figures: &Figures, sizes: &Sizes) -> Table {
    let title = format!("An app that stops for {:?} at 100/s", sizes.stall);
    let mut table = Table::new(&title, ["", "kube-booster", "vegeta"]);
    table.add([
        "reported p99".to_owned(),
        text(figures, "stall_p99_seconds"),
        text(figures, "vegeta_stall_p99_seconds"),
    ]);
    table
}

fn cost(figures: &Figures, sizes: &Sizes) -> Table {
    let title = format!("{} requests at 1,000/s, then a report over TLS", sizes.costly_requests);
    let mut table = Table::new(&title, ["", "kube-booster", "vegeta"]);
    for (what, name) in [
        ("image", "image_bytes"),
        ("program", "binary_bytes"),
        ("resident at most", "peak_rss_bytes"),
        ("private", "private_bytes"),
        ("threads", "threads"),
        ("processor time of 1,000 requests", "cpu_per_1000_requests_seconds"),
        ("resident when all is done", "parked_rss_bytes"),
    ] {
        table.add([what.to_owned(), text(figures, name), text(figures, &format!("vegeta_{name}"))]);
    }
    table
}

fn start(figures: &Figures, sizes: &Sizes) -> Table {
    let mut table = Table::new(&format!("{} starts", sizes.starts), ["", "p50", "p99"]);
    for (what, name) in [
        ("process start to first probe", "first_probe"),
        ("app's first good answer to first request", "good_answer_to_request"),
        ("app ready to first request", "ready_to_request"),
        ("SIGTERM to exit, parked", "sigterm_to_exit"),
    ] {
        let of = |quantile: &str| text(figures, &format!("{name}_{quantile}_seconds"));
        table.add([what.to_owned(), of("p50"), of("p99")]);
    }
    table
}
