//! What products cost in the past.

use crate::catalogue::{Catalogue, Cents, Product};
use crate::random::Random;

const DAYS: usize = 3 * 365;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Days that one character of the curve stands for.
const DAYS_PER_BAR: usize = 36;

/// A price per product and day.
pub(crate) struct Prices {
    histories: Vec<History>,
}

/// One product's past.
pub(crate) struct History {
    pub(crate) lowest: Cents,
    pub(crate) median: Cents,
    pub(crate) highest: Cents,
    /// All days as a line of blocks.
    pub(crate) curve: String,
}

impl Prices {
    pub(crate) fn build(catalogue: &Catalogue) -> Self {
        Self { histories: catalogue.products().iter().map(History::of).collect() }
    }

    pub(crate) fn history(&self, id: u32) -> Option<&History> {
        self.histories.get(usize::try_from(id).ok()?)
    }
}

impl History {
    fn of(product: &Product) -> Self {
        let days = walk(product);
        let mut sorted = days.clone();
        sorted.sort_unstable();
        let (lowest, median, highest) = (sorted[0], sorted[DAYS / 2], sorted[DAYS - 1]);
        Self {
            lowest: Cents(lowest),
            median: Cents(median),
            highest: Cents(highest),
            curve: curve(&days, lowest, highest),
        }
    }
}

/// A price that wanders back from today's by up to 3 % a day.
fn walk(product: &Product) -> Vec<u64> {
    let mut random = Random::new(u64::from(product.id));
    let back = |price: &u64| Some((price * u64::from(970 + random.below(61)) / 1_000).max(1));
    std::iter::successors(Some(product.price.0), back).take(DAYS).collect()
}

fn curve(days: &[u64], lowest: u64, highest: u64) -> String {
    let span = (highest - lowest).max(1);
    days.chunks(DAYS_PER_BAR)
        .map(|days| {
            let mean = days.iter().sum::<u64>() / days.len() as u64;
            let height = (mean - lowest) * (BARS.len() as u64 - 1) / span;
            usize::try_from(height).ok().and_then(|height| BARS.get(height)).copied().unwrap_or(' ')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::generate;

    #[test]
    fn the_median_lies_between_the_extremes() {
        let prices = Prices::build(&Catalogue::parse(&generate(100)));
        assert_eq!(prices.histories.len(), 100);
        assert!(prices.histories.iter().all(|history| {
            history.lowest <= history.median
                && history.median <= history.highest
                && !history.curve.contains(' ')
        }));
    }
}
