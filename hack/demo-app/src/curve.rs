//! How the service time falls from the first request on.

use std::fmt;
use std::iter;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The curve ends here; later requests are only counted.
const LAST: u32 = 10_000;
const BAR_WIDTH: u128 = 40;
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// It bore `X-Warmup-Request: true`.
    Warmup,
    User,
}

/// Service times by the order of arrival.
#[derive(Debug, Default, Clone)]
pub struct Curve {
    arrived: u32,
    served: u32,
    refused: u32,
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    number: u32,
    visitor: Visitor,
    took: Duration,
}

impl Curve {
    /// The number of the request that arrives now, from 1.
    pub(crate) fn arrive(&mut self) -> u32 {
        self.arrived = self.arrived.saturating_add(1);
        self.arrived
    }

    /// Adds request `number`, which was answered `took` after its arrival. Answers how many were served by now.
    pub(crate) fn record(&mut self, number: u32, visitor: Visitor, took: Duration) -> u32 {
        self.served = self.served.saturating_add(1);
        if number <= LAST {
            self.samples.push(Sample { number, visitor, took });
        }
        self.served
    }

    /// Counts a request that no worker could take.
    pub(crate) fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    fn rows(&self) -> Vec<Row> {
        buckets().filter_map(|bucket| Row::of(bucket, &self.samples)).collect()
    }

    fn count(&self, visitor: Visitor) -> usize {
        count(&self.samples, visitor)
    }
}

/// 1, 2, 3–5, 6–10, 11–20, … up to [`LAST`].
fn buckets() -> impl Iterator<Item = RangeInclusive<u32>> {
    let ends = iter::successors(Some(1_u32), |ten| Some(ten * 10)).flat_map(|ten| [ten, 2 * ten, 5 * ten]);
    ends.take_while(|end| *end <= LAST).scan(1, |start, end| {
        let bucket = *start..=end;
        *start = end + 1;
        Some(bucket)
    })
}

fn count(samples: &[Sample], visitor: Visitor) -> usize {
    samples.iter().filter(|sample| sample.visitor == visitor).count()
}

/// One bucket of the curve.
struct Row {
    bucket: RangeInclusive<u32>,
    warmup: usize,
    users: usize,
    p50: Duration,
    max: Duration,
}

impl Row {
    /// `None` without a sample.
    fn of(bucket: RangeInclusive<u32>, samples: &[Sample]) -> Option<Self> {
        let mut inside: Vec<Sample> =
            samples.iter().filter(|s| bucket.contains(&s.number)).copied().collect();
        inside.sort_unstable_by_key(|sample| sample.took);
        let (warmup, users) = (count(&inside, Visitor::Warmup), count(&inside, Visitor::User));
        let p50 = inside.get(inside.len().saturating_sub(1) / 2)?.took;
        Some(Self { bucket, warmup, users, p50, max: inside.last()?.took })
    }

    fn label(&self) -> String {
        match (self.bucket.start(), self.bucket.end()) {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start}–{end}"),
        }
    }
}

/// As long in eighths of a block as `value` is of `largest`.
fn bar(value: Duration, largest: Duration) -> String {
    let eighths = value.as_nanos() * BAR_WIDTH * 8 / largest.as_nanos().max(1);
    let (blocks, rest) =
        (usize::try_from(eighths / 8).unwrap_or(0), usize::try_from(eighths % 8).unwrap_or(0));
    format!("{}{}", "█".repeat(blocks), EIGHTHS[rest]).trim_end().to_owned()
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (warmup, users) = (self.count(Visitor::Warmup), self.count(Visitor::User));
        let (served, refused) = (self.served, self.refused);
        writeln!(
            f,
            "{served} requests served, {refused} refused; below: {warmup} warm-up, {users} of users"
        )?;
        writeln!(f, "{:>10} {:>8} {:>6} {:>10} {:>10}", "request", "warm-up", "users", "p50 ms", "max ms")?;
        let rows = self.rows();
        let largest = rows.iter().map(|row| row.p50).max().unwrap_or_default();
        for row in &rows {
            let (p50, max) = (row.p50.as_secs_f64() * 1e3, row.max.as_secs_f64() * 1e3);
            let (label, bar) = (row.label(), bar(row.p50, largest));
            let line =
                format!("{label:>10} {:>8} {:>6} {p50:>10.2} {max:>10.2} {bar}", row.warmup, row.users);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn buckets_grow_and_leave_no_gap() {
        let first: Vec<_> = buckets().take(6).collect();
        assert_eq!(first, [1..=1, 2..=2, 3..=5, 6..=10, 11..=20, 21..=50]);
        assert!(buckets().zip(buckets().skip(1)).all(|(one, next)| one.end() + 1 == *next.start()));
        assert_eq!(buckets().last(), Some(5_001..=10_000));
    }

    #[test]
    fn the_curve_tells_warmup_from_users() {
        let mut curve = Curve::default();
        for took in [400, 200, 90, 80, 100, 5, 4, 3] {
            let number = curve.arrive();
            let visitor = if number <= 4 { Visitor::Warmup } else { Visitor::User };
            curve.record(number, visitor, Duration::from_millis(took));
        }
        curve.refuse();
        expect![[r"
            8 requests served, 1 refused; below: 4 warm-up, 4 of users
               request  warm-up  users     p50 ms     max ms
                     1        1      0     400.00     400.00 ████████████████████████████████████████
                     2        1      0     200.00     200.00 ████████████████████
                   3–5        2      1      90.00     100.00 █████████
                  6–10        0      3       4.00       5.00 ▍
        "]]
        .assert_eq(&curve.to_string());
    }

    #[test]
    fn requests_after_the_curve_are_only_counted() {
        let mut curve = Curve::default();
        assert_eq!(curve.record(LAST + 1, Visitor::User, Duration::ZERO), 1);
        assert!(curve.samples.is_empty());
    }
}
