//! Which products read alike.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::catalogue::{Catalogue, Product};

/// A vector of word counts per product.
pub(crate) struct Similarity {
    dimensions: usize,
    counts: Vec<i16>,
}

impl Similarity {
    pub(crate) fn build(catalogue: &Catalogue) -> Self {
        let vocabulary = vocabulary(catalogue);
        let dimensions = vocabulary.len();
        let mut counts = vec![0; dimensions * catalogue.products().len()];
        for (product, vector) in catalogue.products().iter().zip(counts.chunks_exact_mut(dimensions.max(1))) {
            words(product)
                .filter_map(|word| vocabulary.get(word))
                .for_each(|position| vector[*position] += 1);
        }
        Self { dimensions, counts }
    }

    /// The product, other than itself, whose words are most like those of product `id`.
    pub(crate) fn nearest(&self, id: usize) -> Option<usize> {
        let of = self.vectors().nth(id)?;
        let others = self.vectors().enumerate().filter(|(other, _)| *other != id);
        others.max_by_key(|(other, vector)| (dot(of, vector), Reverse(*other))).map(|(other, _)| other)
    }

    fn vectors(&self) -> impl Iterator<Item = &[i16]> {
        self.counts.chunks_exact(self.dimensions.max(1))
    }
}

fn vocabulary(catalogue: &Catalogue) -> HashMap<&str, usize> {
    let mut vocabulary = HashMap::new();
    for word in catalogue.products().iter().flat_map(words) {
        let next = vocabulary.len();
        vocabulary.entry(word).or_insert(next);
    }
    vocabulary
}

fn words(product: &Product) -> impl Iterator<Item = &str> {
    product.description.split(' ').chain(product.tags.iter().map(String::as_str))
}

fn dot(one: &[i16], other: &[i16]) -> i32 {
    one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(descriptions: &[&str]) -> String {
        let line = |(id, text)| {
            format!(
                r#"{{"id":{id},"name":"","category":"Music","price":1,"tags":[],"description":"{text}"}}"#
            )
        };
        descriptions.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_nearest_product_shares_most_words() {
        let catalogue = Catalogue::parse(&lines(&["oak made by hand", "a glass lamp", "glass made by hand"]));
        let similarity = Similarity::build(&catalogue);
        assert_eq!(similarity.nearest(0), Some(2));
        assert_eq!(similarity.nearest(1), Some(2));
        assert_eq!(similarity.nearest(3), None);
    }

    #[test]
    fn a_single_product_is_like_no_other() {
        assert_eq!(Similarity::build(&Catalogue::parse(&lines(&["alone"]))).nearest(0), None);
    }
}
