//! What the figures should be, and which of them are not.

use tests::measure::{
    figures::{Figures, text},
    table::Table,
};

/// What is to be, the figure that says so, and its limit.
const GOALS: [(&str, &str, f64); 7] = [
    ("Java, stable: first second ÷ steady, at p99, median of the starts", "stable_p99_ratio", 1.5),
    ("in the worst start", "stable_most_p99_ratio", 2.5),
    ("longest warm-up", "stable_most_warmup_seconds", 10.0),
    ("Python, stable: first second ÷ steady, at p99, median of the starts", "python_stable_p99_ratio", 1.5),
    ("longest warm-up", "python_stable_most_warmup_seconds", 2.0),
    ("users who got an error, Java", "stable_failed", 0.0),
    ("users who got an error, Python", "python_stable_failed", 0.0),
];
/// The goals for Java hold where an app is truly cold.
const COLD: f64 = 100.0;

pub(crate) fn table(figures: &Figures) -> Table {
    let unwarmed = figures.get("unwarmed_p99_ratio");
    let title = format!(
        "Goals (Java unwarmed: {}; they hold where that is {} or more)",
        text("ratio", unwarmed),
        text("ratio", COLD)
    );
    let mut table = Table::new(&title, ["goal", "limit", "measured", ""]);
    for (what, figure, limit) in GOALS {
        let value = figures.get(figure);
        let verdict = if value <= limit { "met" } else { "missed" };
        table.add([what.to_owned(), text(figure, limit), figures.text(figure), verdict.to_owned()]);
    }
    table
}
