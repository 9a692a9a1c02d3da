//! The products of the shop.

mod generation;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use generation::generate;

/// Something to buy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) category: Category,
    pub(crate) price: Cents,
    pub(crate) tags: Vec<String>,
    pub(crate) description: String,
}

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Cents(pub(crate) u64);

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// A department of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Category {
    Garden,
    Kitchen,
    Music,
    Outdoor,
    Study,
    Workshop,
}

impl Category {
    pub(crate) const ALL: [Self; 6] =
        [Self::Garden, Self::Kitchen, Self::Music, Self::Outdoor, Self::Study, Self::Workshop];
}

/// All products, by id.
pub(crate) struct Catalogue {
    products: Vec<Product>,
}

impl Catalogue {
    /// Reads one JSON object per line; product i is on line i. Stops at a line that is none.
    pub(crate) fn parse(source: &str) -> Self {
        Self { products: source.lines().map_while(|line| serde_json::from_str(line).ok()).collect() }
    }

    pub(crate) fn products(&self) -> &[Product] {
        &self.products
    }

    pub(crate) fn product(&self, id: u32) -> Option<&Product> {
        self.products.get(usize::try_from(id).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_size_makes_the_same_catalogue() {
        assert_eq!(generate(300), generate(300));
    }

    #[test]
    fn every_generated_line_is_a_product_with_its_number() {
        let catalogue = Catalogue::parse(&generate(300));
        let ids: Vec<u32> = catalogue.products().iter().map(|product| product.id).collect();
        assert_eq!(ids, (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn an_amount_shows_two_decimals() {
        assert_eq!(Cents(1_205).to_string(), "12.05");
    }
}
