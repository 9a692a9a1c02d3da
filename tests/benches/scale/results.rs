//! The tables that a run ends with.

use super::{
    figures::{Figures, text},
    goals,
    table::Table,
};

/// Figures of the control plane that are measured at both numbers of pods.
const CONTROL_PLANE: [(&str, &str); 6] = [
    ("memory", "rss_PODS_bytes"),
    ("in it, not the program's own pages", "rss_anonymous_PODS_bytes"),
    ("memory after a restart", "rss_restarted_PODS_bytes"),
    ("processor while idle", "idle_PODS_cores"),
    ("processor time of an injection", "injection_cpu_PODS_seconds"),
    ("of a begin and a report, at 100/s", "report_cpu_100_PODS_seconds"),
];

/// What else may grow with the number of pods.
const GROWING: [&str; 4] = [
    "webhook_present_p50_PODS_seconds",
    "webhook_added_p50_PODS_seconds",
    "report_to_true_100_p50_PODS_seconds",
    "report_to_true_100_p99_PODS_seconds",
];

/// Adds what follows from the others.
#[expect(clippy::cast_precision_loss)]
pub(crate) fn derive(figures: &mut Figures, [few, many]: [usize; 2]) {
    for pods in [few, many] {
        for quantile in ["p50", "p99"] {
            let of = |name: &str| figures.get(&format!("webhook_{name}_{quantile}_{pods}_seconds"));
            let (added, larger) = (of("present") - of("removed"), of("ready_made") - of("removed"));
            figures.set(format!("webhook_added_{quantile}_{pods}_seconds"), added);
            figures.set(format!("webhook_larger_pod_{quantile}_{pods}_seconds"), larger);
        }
        let of = |name: &str| figures.get(&format!("{name}_{pods}_bytes"));
        let program = of("rss") - of("rss_anonymous");
        figures.set(format!("rss_program_{pods}_bytes"), program);
    }
    let rss = |pods: usize| figures.get(&format!("rss_{pods}_bytes"));
    let each = (rss(many) - rss(few)) / (many - few) as f64;
    figures.set("waiting_pod_bytes", each);
    let names = CONTROL_PLANE.iter().map(|(_, name)| name).chain(&GROWING);
    let most = names.map(|name| growth(figures, name, [few, many])).filter(|growth| growth.is_finite());
    let most = most.fold(f64::NAN, f64::max);
    figures.set("growth_most_times", most);
    for quantile in ["p50", "p99"] {
        let added = figures.get(&format!("webhook_added_{quantile}_{many}_seconds"));
        figures.set(format!("webhook_added_{quantile}_seconds"), added);
        let report = figures.get(&format!("report_to_true_100_{quantile}_{many}_seconds"));
        figures.set(format!("report_to_true_{quantile}_seconds"), report);
    }
}

fn growth(figures: &Figures, name: &str, [few, many]: [usize; 2]) -> f64 {
    let of = |pods: usize| figures.get(&name.replace("PODS", &pods.to_string()));
    of(many) / of(few)
}

/// All tables, in the order in which they are read.
pub(crate) fn tables(figures: &Figures, pods: [usize; 2]) -> String {
    let tables = [
        creations(figures, pods),
        reports(figures, pods),
        control_plane(figures, pods),
        events(figures),
        goals::table(figures, pods[1]),
    ];
    tables.iter().map(ToString::to_string).collect()
}

fn creations(figures: &Figures, pods: [usize; 2]) -> Table {
    let head = [
        "waiting pods",
        "",
        "webhook removed",
        "with the webhook",
        "difference",
        "removed, pod as injected",
        "with it, no annotation",
    ];
    let mut table = Table::new("Creating a pod through the API server", head);
    for pods in pods {
        for quantile in ["p50", "p99"] {
            let of = |name: &str| figures.text(&format!("webhook_{name}_{quantile}_{pods}_seconds"));
            table.add([
                pods.to_string(),
                quantile.to_owned(),
                of("removed"),
                of("present"),
                of("added"),
                of("ready_made"),
                of("unannotated"),
            ]);
        }
        let of = |name: &str| figures.get(&format!("webhook_{name}_{pods}_rate"));
        let (removed, present) = (of("removed"), of("present"));
        table.add([
            pods.to_string(),
            "8 at a time".to_owned(),
            text("rate", removed),
            text("rate", present),
            format!("× {:.2}", present / removed),
            String::new(),
            String::new(),
        ]);
    }
    table
}

fn reports(figures: &Figures, [few, many]: [usize; 2]) -> Table {
    let title = "From report to condition True";
    let [p50, p99] =
        ["p50", "p99"].map(|quantile| [few, many].map(|pods| format!("{quantile}, {pods} waiting")));
    let mut table = Table::new(title, ["reports", &p50[0], &p99[0], &p50[1], &p99[1]]);
    for rate in ["10", "100", "highest"] {
        let of = |quantile: &str, pods: usize| {
            figures.text(&format!("report_to_true_{rate}_{quantile}_{pods}_seconds"))
        };
        let highest =
            [few, many].map(|pods| figures.text(&format!("reports_highest_{pods}_rate"))).join(" and ");
        let rate =
            if rate == "highest" { format!("highest sustained: {highest}") } else { format!("{rate}/s") };
        table.add([rate, of("p50", few), of("p99", few), of("p50", many), of("p99", many)]);
    }
    table
}

fn control_plane(figures: &Figures, pods: [usize; 2]) -> Table {
    let [few, many] = pods.map(|pods| format!("{pods} waiting"));
    let mut table = Table::new("The control plane", ["", "no pods", &few, &many, "growth"]);
    for (what, name) in CONTROL_PLANE {
        let of = |pods: usize| figures.text(&name.replace("PODS", &pods.to_string()));
        // Nothing grows from nothing.
        let growth = Some(growth(figures, name, pods)).filter(|growth| growth.is_finite());
        let growth = growth.map(|growth| format!("× {growth:.2}")).unwrap_or_default();
        table.add([what.to_owned(), of(0), of(pods[0]), of(pods[1]), growth]);
    }
    let each = figures.text("waiting_pod_bytes");
    table.add(["memory of each waiting pod".to_owned(), String::new(), String::new(), each, String::new()]);
    table
}

fn events(figures: &Figures) -> Table {
    let mut table = Table::new("A storm, and a rolling restart", ["", ""]);
    let rows = [
        ("reports at once, each on a connection of its own", "storm_reports"),
        ("all were stored after", "storm_lasted_seconds"),
        ("tries in all", "storm_tries"),
        ("lost", "storm_lost"),
        ("processor time of the control plane", "storm_cpu_seconds"),
        ("of as many TLS handshakes alone", "storm_handshakes_cpu_seconds"),
        ("most memory of the control plane", "storm_peak_bytes"),
        ("pods created while two replicas were restarted", "rolling_restart_pods"),
        ("of these missed", "rolling_restart_missed"),
        ("p99 of their creation", "rolling_restart_p99_seconds"),
    ];
    for (what, name) in rows {
        table.add([what.to_owned(), figures.text(name)]);
    }
    table
}
