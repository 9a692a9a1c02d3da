//! All that was measured, by name and in base units.

use std::{collections::BTreeMap, path::Path};

/// Numbers by name; a name's end is its unit.
#[derive(Debug, Clone, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Notes `value` under `name`.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), value);
    }

    /// The number of this name; NaN where it was not measured.
    #[must_use]
    pub fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }

    /// The number as people read it: `1.2 ms`, `20.1 MB`.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        text(name, self.get(name))
    }

    /// Writes all of them as one flat JSON object; what is not a number is left out.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let known: BTreeMap<&String, &f64> = self.0.iter().filter(|(_, value)| value.is_finite()).collect();
        Ok(std::fs::write(path, serde_json::to_string_pretty(&known)? + "\n")?)
    }
}

/// `value` in the unit that the end of `name` says.
#[must_use]
pub fn text(name: &str, value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    match name.rsplit('_').next() {
        Some("seconds") => seconds(value),
        Some("bytes") => bytes(value),
        Some("rate") => format!("{value:.0}/s"),
        Some("ratio") => format!("× {value:.1}"),
        Some("cores") => format!("{:.2} % of a core", 100.0 * value),
        _ => format!("{value:.0}"),
    }
}

fn seconds(value: f64) -> String {
    match value.abs() {
        size if size < 1e-3 => format!("{:.0} µs", 1e6 * value),
        size if size < 1e-1 => format!("{:.2} ms", 1e3 * value),
        size if size < 1.0 => format!("{:.0} ms", 1e3 * value),
        _ => format!("{value:.2} s"),
    }
}

fn bytes(value: f64) -> String {
    match value.abs() {
        size if size < 1e4 => format!("{value:.0} B"),
        size if size < 1e6 => format!("{:.1} kB", value / 1e3),
        _ => format!("{:.1} MB", value / 1e6),
    }
}
