//! The tables that a run ends with.

use tests::measure::{figures::Figures, table::Table};

use super::slots;

/// All tables, one after the other.
pub(crate) fn all(figures: &Figures) -> String {
    [requests(figures), slots_table(figures), burst(figures), goals(figures)]
        .map(|table| table.to_string())
        .concat()
}

fn requests(figures: &Figures) -> Table {
    let head = ["review, 16 connections", "processor time", "rate", "p50", "p99"];
    let mut table = Table::new("Requests", head);
    for size in ["2k", "8k", "100k"] {
        for (name, what) in [
            ("constant", "constant answer"),
            ("untracked", "annotated, tracker off"),
            ("admission", "annotated, tracker on"),
            ("unannotated", "not annotated, tracker on"),
        ] {
            let of = |figure: &str| figures.text(&format!("{name}_{size}_{figure}"));
            table.add([
                format!("{size}, {what}"),
                of("cpu_seconds"),
                of("rate"),
                of("p50_seconds"),
                of("p99_seconds"),
            ]);
        }
    }
    table
}

fn slots_table(figures: &Figures) -> Table {
    let mut table = Table::new("Slots", ["slots, 128 connections", "rate", "p50", "p99", "processor time"]);
    for slots in slots::tried() {
        let of = |figure: &str| figures.text(&format!("slots_{slots}_{figure}"));
        table.add([slots.to_string(), of("rate"), of("p50_seconds"), of("p99_seconds"), of("cpu_seconds")]);
    }
    table
}

fn burst(figures: &Figures) -> Table {
    let mut table = Table::new("Burst of large reviews", ["memory", "before", "at most", "12 s after"]);
    for (name, what) in [("kept", "left to the allocator"), ("purged", "given back past a threshold")] {
        let of = |figure: &str| figures.text(&format!("burst_{name}{figure}_bytes"));
        table.add([what.to_owned(), of("_before"), of("_peak"), of("")]);
    }
    table
}

fn goals(figures: &Figures) -> Table {
    let mut table = Table::new("Goals", ["goal", "limit", "measured"]);
    let percent = |name: &str| format!("{:+.1} %", 100.0 * figures.get(name));
    table.add([
        "processor time that the tracker adds".to_owned(),
        "3 %".to_owned(),
        percent("tracker_overhead_ratio"),
    ]);
    table.add(["throughput that it takes".to_owned(), "3 %".to_owned(), percent("tracker_rate_loss_ratio")]);
    let times = figures.get("admission_8k_cpu_seconds") / figures.get("constant_8k_cpu_seconds");
    table.add([
        "annotated 8 KB beside the constant".to_owned(),
        "2 times".to_owned(),
        format!("{times:.2} times"),
    ]);
    let admission = figures.text("admission_8k_cpu_seconds");
    table.add(["annotated 8 KB".to_owned(), "50 µs".to_owned(), admission]);
    table
}
