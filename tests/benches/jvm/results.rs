//! All starts, and the figures and tables that they come to.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use libtest_mimic::Failed;
use proto::report::EndedBy;

use tests::measure::{
    figures::{Figures, text},
    table::Table,
};

use super::{
    app::{Scene, Warmth},
    goals, picture,
    start::Start,
    visits::Visits,
};

/// Parts of a start that users are asked about, in seconds from the first of them.
const SPANS: [(&str, f64); 2] = [("first_second", 1.0), ("first_ten", 10.0)];

/// Every start.
#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<(Scene, Warmth), Vec<Start>>);

impl Results {
    pub(crate) fn add(&mut self, scene: Scene, warmth: Warmth, start: Start) {
        self.0.entry((scene, warmth)).or_default().push(start);
    }

    /// Medians over the starts, and the extremes where a name says `least` or `most`.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for ((scene, warmth), starts) in &self.0 {
            let name = format!("{}{}", scene.prefix(), warmth.name());
            for (what, values) in measured(starts) {
                let (quality, unit) = what.split_once(' ').unwrap_or((what.as_str(), ""));
                let unit = if unit.is_empty() { String::new() } else { format!("_{unit}") };
                let extreme = |of: fn(f64, f64) -> f64| values.iter().copied().fold(f64::NAN, of);
                figures.set(format!("{name}_{quality}{unit}"), median(&values));
                figures.set(format!("{name}_least_{quality}{unit}"), extreme(f64::min));
                figures.set(format!("{name}_most_{quality}{unit}"), extreme(f64::max));
            }
            let failed: usize = starts.iter().map(|start| start.visits.failed()).sum();
            figures.set(format!("{name}_failed"), whole(failed));
            figures.set(format!("{name}_starts"), whole(starts.len()));
        }
        figures
    }

    /// All tables, in the order in which they are read.
    pub(crate) fn tables(&self) -> String {
        let figures = self.figures();
        let mut text = String::new();
        for scene in Scene::ALL {
            text += &summary(scene, &figures).to_string();
            text += &self.each(scene).to_string();
        }
        text + &goals::table(&figures).to_string()
    }

    /// Of each kind of warmth of the Java app, the start in the middle.
    pub(crate) fn picture(&self) -> String {
        let curve = |warmth: &Warmth| {
            let mut starts: Vec<&Start> = self.0.get(&(Scene::Java, *warmth))?.iter().collect();
            starts.sort_by(|a, b| a.visits.ratio().total_cmp(&b.visits.ratio()));
            Some((*warmth, &starts.get(starts.len() / 2)?.visits))
        };
        picture::svg(&Scene::Java.warmths().iter().filter_map(curve).collect::<Vec<_>>())
    }

    fn each(&self, scene: Scene) -> Table {
        let head = [
            "",
            "Ready after",
            "warm-up",
            "first request",
            "first second p50",
            "p99",
            "steady p99",
            "of its seconds",
            "ratio",
            "throttled",
        ];
        let mut table = Table::new(&format!("{}: each start", scene.title()), head);
        for warmth in scene.warmths() {
            for start in self.0.get(&(scene, *warmth)).into_iter().flatten() {
                let (least, most) = start.visits.steady_spread();
                let seconds = |value| text("seconds", value);
                table.add([
                    warmth.name().to_owned(),
                    seconds(start.ready.as_secs_f64()),
                    warmed(start),
                    seconds(start.visits.first()),
                    seconds(start.visits.quantile(0.0..1.0, 50)),
                    seconds(start.visits.quantile(0.0..1.0, 99)),
                    seconds(start.visits.steady_p99()),
                    format!("{} – {}", seconds(least), seconds(most)),
                    text("ratio", start.visits.ratio()),
                    start.throttled.map_or_else(String::new, |time| seconds(time.as_secs_f64())),
                ]);
            }
        }
        table
    }
}

fn summary(scene: Scene, figures: &Figures) -> Table {
    let head = [
        "",
        "Ready after",
        "first request",
        "first second p99",
        "slowest",
        "ten seconds p99",
        "slowest",
        "steady p99",
        "ratio",
    ];
    let mut table = Table::new(&format!("{}: medians of all starts", scene.title()), head);
    for warmth in scene.warmths() {
        let of = |what: &str| figures.text(&format!("{}{}_{what}", scene.prefix(), warmth.name()));
        table.add([
            warmth.name().to_owned(),
            of("ready_seconds"),
            of("first_request_seconds"),
            of("first_second_p99_seconds"),
            of("first_second_max_seconds"),
            of("first_ten_p99_seconds"),
            of("first_ten_max_seconds"),
            of("steady_p99_seconds"),
            of("p99_ratio"),
        ]);
    }
    table
}

/// What the warm-up of a start did.
fn warmed(start: &Start) -> String {
    let Some(report) = &start.report else { return "none".to_owned() };
    let seconds = report.elapsed().as_secs_f64();
    let by = if report.ended_by == EndedBy::Stable { ", stable" } else { "" };
    format!("{} requests, {seconds:.1} s{by}", report.request_count)
}

/// The values of all starts, by name and unit.
fn measured(starts: &[Start]) -> Vec<(String, Vec<f64>)> {
    let all = |of: &dyn Fn(&Start) -> f64| starts.iter().map(of).collect::<Vec<f64>>();
    let mut measured = vec![
        ("p99 ratio".to_owned(), all(&|start| start.visits.ratio())),
        ("ready seconds".to_owned(), all(&|start| start.ready.as_secs_f64())),
        ("first_request seconds".to_owned(), all(&|start| start.visits.first())),
        ("steady_p99 seconds".to_owned(), all(&|start| start.visits.steady_p99())),
        ("steady_second_p99 seconds".to_owned(), all(&|start| start.visits.steady_spread().1)),
        (
            "throttled seconds".to_owned(),
            all(&|start| start.throttled.map_or(f64::NAN, |time| time.as_secs_f64())),
        ),
    ];
    for (span, end) in SPANS {
        for (what, percent) in [("p50", 50), ("p99", 99), ("max", 100)] {
            let values = all(&|start| start.visits.quantile(0.0..end, percent));
            measured.push((format!("{span}_{what} seconds"), values));
        }
    }
    if starts.iter().any(|start| start.report.is_some()) {
        let of = |start: &Start, value: &dyn Fn(&proto::report::Report) -> f64| {
            start.report.as_ref().map_or(f64::NAN, value)
        };
        measured.push((
            "warmup seconds".to_owned(),
            all(&|start| of(start, &|report| report.elapsed().as_secs_f64())),
        ));
        measured.push((
            "requests".to_owned(),
            all(&|start| of(start, &|report| f64::from(report.request_count))),
        ));
    }
    measured
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[expect(clippy::cast_precision_loss)]
fn whole(count: usize) -> f64 {
    count as f64
}

/// Figures, tables and picture of visits that are made up: the first second is ten times as slow.
pub(crate) fn smoke() -> Result<(), Failed> {
    let told = |slow: u32| {
        let each = (0..2_400).map(|i| format!("[{},{}]", i * 10, if i < 100 { slow } else { 2 }));
        format!("a line\n{{\"eachMs\":[{}]}}\n", each.collect::<Vec<_>>().join(","))
    };
    let made_up = || -> anyhow::Result<()> {
        let mut results = Results::default();
        for (warmth, slow) in [(Warmth::Unwarmed, 200), (Warmth::Unwarmed, 400), (Warmth::Stable, 2)] {
            let visits = Visits::read(&told(slow))?;
            results.add(
                Scene::Java,
                warmth,
                Start { ready: Duration::from_secs(3), visits, ..Start::default() },
            );
        }
        let figures = results.figures();
        for (name, expected) in [
            ("unwarmed_p99_ratio", 150.0),
            ("unwarmed_most_p99_ratio", 200.0),
            ("stable_p99_ratio", 1.0),
            ("stable_steady_p99_seconds", 0.002),
            ("unwarmed_ready_seconds", 3.0),
            ("unwarmed_first_ten_p50_seconds", 0.002),
        ] {
            ensure!((figures.get(name) - expected).abs() < 1e-9, "{name} is {}", figures.get(name));
        }
        let tables = results.tables();
        ensure!(tables.contains("× 150.0") && tables.contains("| met"), "{tables}");
        let picture = results.picture();
        ensure!(picture.starts_with("<svg") && picture.matches("<path").count() == 2, "{picture}");
        Ok(())
    };
    made_up().map_err(|error| Failed::from(format!("{error:#}")))
}
