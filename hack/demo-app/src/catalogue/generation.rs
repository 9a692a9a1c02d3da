//! A catalogue out of nothing but its size.

use super::words::{ADJECTIVES, MATERIALS, NOUNS, PROSE};
use super::{Category, Cents, Product};
use crate::random::Random;

const SEED: u64 = 0x5140_7000;
const WORDS_PER_DESCRIPTION: usize = 36;

/// One JSON object per line for each of `products`, as the file that a shop would ship.
pub(crate) fn generate(products: u32) -> String {
    let mut random = Random::new(SEED);
    (0..products)
        .filter_map(|id| serde_json::to_string(&product(id, &mut random)).ok())
        .map(|line| line + "\n")
        .collect()
}

fn product(id: u32, random: &mut Random) -> Product {
    let (adjective, material, noun) =
        (random.pick(&ADJECTIVES), random.pick(&MATERIALS), random.pick(&NOUNS));
    Product {
        id,
        name: format!("{adjective} {material} {noun} No. {id}"),
        category: random.pick(&Category::ALL),
        price: Cents(u64::from(199 + random.skewed(50_000))),
        tags: vec![adjective.to_lowercase(), material.to_lowercase(), random.pick(&PROSE).to_owned()],
        description: description(random),
    }
}

fn description(random: &mut Random) -> String {
    let words: Vec<&str> = (0..WORDS_PER_DESCRIPTION).map(|_| random.pick(&PROSE)).collect();
    words.join(" ")
}
