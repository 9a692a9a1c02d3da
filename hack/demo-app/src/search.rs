//! Which products have the words that a user types.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::catalogue::{Catalogue, Product};

const NAME_WEIGHT: u32 = 8;
const PREFIX_WEIGHT: u32 = 3;
const MISTYPED_WEIGHT: u32 = 2;
const TEXT_WEIGHT: u32 = 1;
/// Shortest beginning of a name's word that finds it.
const SHORTEST_PREFIX: usize = 2;

/// An inverted index: for each word its products, by id.
pub(crate) struct Index {
    postings: HashMap<String, Vec<Posting>>,
}

#[derive(Clone, Copy)]
struct Posting {
    product: u32,
    weight: u32,
}

impl Index {
    pub(crate) fn build(catalogue: &Catalogue) -> Self {
        let mut postings: HashMap<String, Vec<Posting>> = HashMap::new();
        for product in catalogue.products() {
            for (word, weight) in weights(product) {
                postings.entry(word).or_default().push(Posting { product: product.id, weight });
            }
        }
        Self { postings }
    }

    /// The `limit` products that match all words of `query` best.
    pub(crate) fn find(&self, query: &str, limit: usize) -> Vec<u32> {
        let mut lists: Vec<&[Posting]> = words(query).map(|word| self.list(&word)).collect();
        lists.sort_by_key(|list| list.len());
        let Some((shortest, others)) = lists.split_first() else { return Vec::new() };
        let mut hits: Vec<Posting> = shortest.iter().filter_map(|hit| in_all(*hit, others)).collect();
        hits.sort_unstable_by_key(|hit| (Reverse(hit.weight), hit.product));
        hits.iter().take(limit).map(|hit| hit.product).collect()
    }

    fn list(&self, word: &str) -> &[Posting] {
        self.postings.get(word).map_or(&[], Vec::as_slice)
    }
}

fn in_all(mut hit: Posting, lists: &[&[Posting]]) -> Option<Posting> {
    for list in lists {
        let position = list.binary_search_by_key(&hit.product, |posting| posting.product).ok()?;
        hit.weight += list[position].weight;
    }
    Some(hit)
}

/// What finds `product`, and how much that counts.
fn weights(product: &Product) -> HashMap<String, u32> {
    let mut weights = HashMap::new();
    let mut add = |word: String, weight| *weights.entry(word).or_default() += weight;
    for word in words(&product.name) {
        for end in SHORTEST_PREFIX..word.len() {
            add(word[..end].to_owned(), PREFIX_WEIGHT);
        }
        for missing in 0..word.len() {
            add(format!("{}{}", &word[..missing], &word[missing + 1..]), MISTYPED_WEIGHT);
        }
        add(word, NAME_WEIGHT);
    }
    for word in product.tags.iter().flat_map(|tag| words(tag)).chain(words(&product.description)) {
        add(word, TEXT_WEIGHT);
    }
    weights
}

/// Lower-case ASCII words.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::generate;

    fn found(query: &str) -> Vec<String> {
        let catalogue = Catalogue::parse(&generate(2_000));
        let hits = Index::build(&catalogue).find(query, 10);
        hits.iter().filter_map(|id| Some(catalogue.product(*id)?.name.clone())).collect()
    }

    #[test]
    fn all_words_are_found_in_the_names_of_the_best_hits() {
        let names = found("copper LAMP");
        assert!(!names.is_empty());
        assert!(names.iter().all(|name| name.contains("Copper Lamp")), "{names:?}");
    }

    #[test]
    fn the_beginning_of_a_word_finds_it_and_so_does_a_word_that_lacks_a_letter() {
        for query in ["lant", "lanten"] {
            let names = found(query);
            assert_eq!(names.len(), 10, "{query}");
            assert!(names.iter().all(|name| name.contains("Lantern")), "{names:?}");
        }
    }

    #[test]
    fn nothing_is_found_for_an_unknown_word_or_none() {
        assert_eq!(found("copper zeppelin"), Vec::<String>::new());
        assert_eq!(found(" "), Vec::<String>::new());
    }
}
