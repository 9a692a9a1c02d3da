//! One worker's shop: its caches, each filled by the first request that needs it.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;

use crate::catalogue::{Catalogue, Product};
use crate::companions::Companions;
use crate::prices::Prices;
use crate::route::Route;
use crate::sales::Sales;
use crate::search::Index;
use crate::storefront::Storefront;
use crate::template::Template;

const HITS: usize = 20;
const PRODUCT: &str = "<!doctype html><title>{{name}}</title><h1>{{name}}</h1><p>{{description}}</p>\
    <p>{{price}} (lowest {{lowest}}, usually {{median}}, highest {{highest}}) {{curve}}</p>\
    <h2>Often bought together</h2><ul>{{&companions}}</ul>\n";

/// Cold when made; shared with nobody.
pub(crate) struct Shop {
    source: Arc<str>,
    catalogue: OnceCell<Catalogue>,
    storefront: OnceCell<Storefront>,
    index: OnceCell<Index>,
    prices: OnceCell<Prices>,
    companions: OnceCell<Companions>,
    product_template: OnceCell<Template>,
    report: OnceCell<Bytes>,
}

impl Shop {
    /// A shop that sells what `source`, the text of a catalogue, lists.
    pub(crate) fn new(source: Arc<str>) -> Self {
        Self {
            source,
            catalogue: OnceCell::new(),
            storefront: OnceCell::new(),
            index: OnceCell::new(),
            prices: OnceCell::new(),
            companions: OnceCell::new(),
            product_template: OnceCell::new(),
            report: OnceCell::new(),
        }
    }

    /// The page, or `None` if there is no such page or product.
    pub(crate) fn page(&self, route: &Route) -> Option<Bytes> {
        match route {
            Route::Landing(number) => self.storefront().page(*number),
            Route::Search(query) => Some(self.hits(query)),
            Route::Product(id) => self.product(*id),
            Route::Report => Some(self.report()),
        }
    }

    fn catalogue(&self) -> &Catalogue {
        self.catalogue.get_or_init(|| Catalogue::parse(&self.source))
    }

    fn storefront(&self) -> &Storefront {
        self.storefront.get_or_init(|| Storefront::build(self.catalogue()))
    }

    fn hits(&self, query: &str) -> Bytes {
        let index = self.index.get_or_init(|| Index::build(self.catalogue()));
        self.list(&index.find(query, HITS)).into()
    }

    fn product(&self, id: u32) -> Option<Bytes> {
        let product = self.catalogue().product(id)?;
        let history = self.prices.get_or_init(|| Prices::build(self.catalogue())).history(id)?;
        let companions = self.companions.get_or_init(|| Companions::build(self.catalogue())).of(id);
        let template = self.product_template.get_or_init(|| Template::parse(PRODUCT));
        let page = template.render(&[
            ("name", &product.name),
            ("description", &product.description),
            ("price", &product.price.to_string()),
            ("lowest", &history.lowest.to_string()),
            ("median", &history.median.to_string()),
            ("highest", &history.highest.to_string()),
            ("curve", &history.curve),
            ("companions", &self.list(companions)),
        ]);
        Some(page.into())
    }

    fn report(&self) -> Bytes {
        self.report.get_or_init(|| Sales::build(self.catalogue()).to_string().into()).clone()
    }

    fn list(&self, ids: &[u32]) -> String {
        ids.iter().filter_map(|id| self.catalogue().product(*id)).map(item).collect()
    }
}

fn item(product: &Product) -> String {
    let Product { id, name, price, .. } = product;
    format!("<li><a href=\"/product/{id}\">{name}</a> {price}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::generate;

    fn shop() -> Shop {
        Shop::new(generate(200).into())
    }

    #[test]
    fn a_new_shop_has_nothing_in_its_caches() {
        assert!(shop().catalogue.get().is_none());
    }

    #[test]
    fn a_page_fills_only_the_caches_that_it_needs() {
        let shop = shop();
        assert!(shop.page(&Route::Search("lamp".to_owned())).is_some());
        assert!(shop.catalogue.get().is_some() && shop.index.get().is_some());
        assert!(shop.storefront.get().is_none() && shop.companions.get().is_none());
    }

    #[test]
    fn two_shops_answer_the_same() {
        let routes = [Route::Landing(1), Route::Search("oak".to_owned()), Route::Product(7), Route::Report];
        for route in routes {
            let page = shop().page(&route);
            assert!(page.is_some(), "{route:?}");
            assert_eq!(page, shop().page(&route), "{route:?}");
        }
    }

    #[test]
    fn an_unknown_product_has_no_page() {
        assert_eq!(shop().page(&Route::Product(200)), None);
    }
}
