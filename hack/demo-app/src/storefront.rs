//! The landing pages: best sellers first, a page after the other, rendered ahead.

use std::cmp::Reverse;

use bytes::Bytes;

use crate::catalogue::{Catalogue, Category, Product};
use crate::orders;
use crate::similarity::Similarity;
use crate::template::Template;

const TILES_PER_PAGE: usize = 24;
/// Only what was bought in these last days counts.
const RECENT_DAYS: u32 = 90;
/// So many best sellers name a product that reads alike.
const WITH_NEAREST: usize = 768;
const TILE: &str = "<article class=\"tile\"><a href=\"/product/{{id}}\"><h3>{{name}}</h3></a>\
    <p class=\"price\">{{price}}</p><p class=\"sold\">{{sold}} sold, {{tags}}</p><p>{{nearest}}</p></article>\n";
const PAGE: &str = "<!doctype html><title>{{title}}</title><nav>{{&categories}}</nav>\n{{&tiles}}";

/// Every landing page.
pub(crate) struct Storefront {
    pages: Vec<Bytes>,
}

impl Storefront {
    pub(crate) fn build(catalogue: &Catalogue) -> Self {
        let tiles = tiles(catalogue);
        let page = Template::parse(PAGE);
        let categories = Category::ALL.map(|category| format!("<a>{category:?}</a>")).join(" ");
        let pages = tiles.chunks(TILES_PER_PAGE).map(|tiles| {
            page.render(&[("title", "The shop"), ("categories", &categories), ("tiles", &tiles.concat())])
                .into()
        });
        Self { pages: pages.collect() }
    }

    /// The pages count from 1.
    pub(crate) fn page(&self, number: usize) -> Option<Bytes> {
        self.pages.get(number.checked_sub(1)?).cloned()
    }
}

/// A tile per product, best sellers first.
fn tiles(catalogue: &Catalogue) -> Vec<String> {
    let sold = sold(catalogue.products().len());
    let mut best: Vec<(&Product, u32)> = catalogue.products().iter().zip(sold).collect();
    best.sort_by_cached_key(|(product, sold)| {
        (Reverse(*sold), product.category, product.name.to_lowercase())
    });
    let similarity = Similarity::build(catalogue);
    let template = Template::parse(TILE);
    let nearest = |(rank, (product, _)): (usize, &(&Product, u32))| {
        let id = (rank < WITH_NEAREST).then_some(product.id as usize)?;
        catalogue.products().get(similarity.nearest(id)?)
    };
    let nearest = best.iter().enumerate().map(nearest);
    best.iter()
        .zip(nearest)
        .map(|((product, sold), nearest)| tile(&template, product, *sold, nearest))
        .collect()
}

fn tile(template: &Template, product: &Product, sold: u32, nearest: Option<&Product>) -> String {
    template.render(&[
        ("id", &product.id.to_string()),
        ("name", &product.name),
        ("price", &product.price.to_string()),
        ("sold", &sold.to_string()),
        ("tags", &product.tags.join(", ")),
        ("nearest", nearest.map_or("", |nearest| &nearest.name)),
    ])
}

/// How often each product was bought lately.
fn sold(products: usize) -> Vec<u32> {
    let mut sold = vec![0; products];
    for order in orders::replay(products).filter(|order| order.day < RECENT_DAYS) {
        for product in order.products {
            sold[product as usize] += 1;
        }
    }
    sold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::generate;

    #[test]
    fn the_pages_hold_all_products() {
        let storefront = Storefront::build(&Catalogue::parse(&generate(50)));
        assert!(storefront.page(0).is_none());
        assert!(storefront.page(3).is_some());
        assert!(storefront.page(4).is_none());
    }
}
