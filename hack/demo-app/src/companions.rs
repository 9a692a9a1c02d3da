//! Which products are bought together.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::catalogue::Catalogue;
use crate::orders;

const COMPANIONS: usize = 4;
/// Only what was bought in these last days counts.
const RECENT_DAYS: u32 = 30;

/// For each product the ones that most often were in the same order.
pub(crate) struct Companions {
    best: Vec<Vec<u32>>,
}

impl Companions {
    pub(crate) fn build(catalogue: &Catalogue) -> Self {
        let products = catalogue.products().len();
        let mut best: Vec<Vec<(u32, u32)>> = vec![Vec::new(); products];
        for ((one, other), times) in pairs(products) {
            best[one as usize].push((times, other));
            best[other as usize].push((times, one));
        }
        Self { best: best.into_iter().map(most_frequent).collect() }
    }

    pub(crate) fn of(&self, id: u32) -> &[u32] {
        self.best.get(id as usize).map_or(&[], Vec::as_slice)
    }
}

/// How often each pair, the smaller id first, was in one order.
fn pairs(products: usize) -> HashMap<(u32, u32), u32> {
    let mut pairs = HashMap::new();
    for order in orders::replay(products).filter(|order| order.day < RECENT_DAYS) {
        let [a, b, c] = order.products;
        for (one, other) in [(a, b), (a, c), (b, c)].into_iter().filter(|(one, other)| one != other) {
            *pairs.entry((one.min(other), one.max(other))).or_default() += 1;
        }
    }
    pairs
}

fn most_frequent(mut companions: Vec<(u32, u32)>) -> Vec<u32> {
    companions.sort_unstable_by_key(|(times, id)| (Reverse(*times), *id));
    companions.iter().take(COMPANIONS).map(|(_, id)| *id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::generate;

    #[test]
    fn a_product_is_not_its_own_companion() {
        let companions = Companions::build(&Catalogue::parse(&generate(200)));
        assert_eq!(companions.of(0).len(), COMPANIONS);
        assert!((0..200).all(|id| !companions.of(id).contains(&id)));
    }

    #[test]
    fn the_most_frequent_comes_first_then_the_smallest_id() {
        assert_eq!(most_frequent(vec![(1, 9), (3, 7), (1, 2)]), [7, 2, 9]);
    }
}
