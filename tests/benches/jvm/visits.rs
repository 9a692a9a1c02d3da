//! What users saw, from the moment at which the pod took them.

use anyhow::Context;
use serde::Deserialize;

/// Seconds after which the app is what it stays: the last ten of [`LASTING`].
const STEADY: f64 = 14.0;
/// Seconds for which users come.
pub(crate) const LASTING: f64 = 24.0;

/// Users in the order in which they were due.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visits(Vec<Visit>);

/// One user: when they were due and how long they waited, in seconds; `None` for an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) due: f64,
    pub(crate) latency: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    each_ms: Vec<(f64, Option<f64>)>,
}

impl Visits {
    /// Reads the log of the users.
    pub(crate) fn read(log: &str) -> anyhow::Result<Self> {
        let line = log.lines().find(|line| line.starts_with('{')).context("the users say nothing")?;
        let told: Told = serde_json::from_str(line)?;
        let visit = |(due, latency): (f64, Option<f64>)| Visit {
            due: due / 1e3,
            latency: latency.map(|ms| ms / 1e3),
        };
        Ok(Self(told.each_ms.into_iter().map(visit).collect()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Visit> {
        self.0.iter()
    }

    /// How long the very first user waited, in seconds.
    pub(crate) fn first(&self) -> f64 {
        self.0.first().and_then(|visit| visit.latency).unwrap_or(f64::NAN)
    }

    pub(crate) fn failed(&self) -> usize {
        self.0.iter().filter(|visit| visit.latency.is_none()).count()
    }

    /// The latency that `percent` of the users do not exceed (nearest rank) who were due in these seconds; NaN of none.
    pub(crate) fn quantile(&self, seconds: std::ops::Range<f64>, percent: usize) -> f64 {
        let due = self.0.iter().filter(|visit| seconds.contains(&visit.due));
        let mut latencies: Vec<f64> = due.filter_map(|visit| visit.latency).collect();
        latencies.sort_by(f64::total_cmp);
        let rank = (latencies.len() * percent).div_ceil(100);
        latencies.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn steady_p99(&self) -> f64 {
        self.quantile(STEADY..LASTING, 99)
    }

    /// The least and the highest p99 of any second once the app is what it stays.
    pub(crate) fn steady_spread(&self) -> (f64, f64) {
        let seconds = std::iter::successors(Some(STEADY), |second| Some(second + 1.0));
        let seconds = seconds.take_while(|second| *second < LASTING);
        let p99s = seconds.map(|second| self.quantile(second..second + 1.0, 99));
        p99s.fold((f64::NAN, f64::NAN), |(least, most), p99| (least.min(p99), most.max(p99)))
    }

    /// How much worse the first second is.
    pub(crate) fn ratio(&self) -> f64 {
        self.quantile(0.0..1.0, 99) / self.steady_p99()
    }
}
