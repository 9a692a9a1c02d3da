//! What a request to the shop asks for.

use http::Uri;

/// A page of the shop. Everything here is answered by a worker, from its own caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Landing page by number, from 1.
    Landing(usize),
    /// Search for words.
    Search(String),
    /// Product by id.
    Product(u32),
    /// The sales report.
    Report,
}

impl Route {
    /// How many kinds of pages there are.
    pub(crate) const KINDS: usize = 4;

    /// `None` for a page that the shop does not have.
    pub(crate) fn parse(uri: &Uri) -> Option<Self> {
        match uri.path() {
            "/" => Some(Self::Landing(parameter(uri, "page").map_or(Some(1), |page| page.parse().ok())?)),
            "/search" => Some(Self::Search(decode(parameter(uri, "q").unwrap_or_default()))),
            "/report" => Some(Self::Report),
            path => path.strip_prefix("/product/")?.parse().ok().map(Self::Product),
        }
    }

    /// The number of its kind, below [`Route::KINDS`].
    pub(crate) fn kind(&self) -> usize {
        match self {
            Self::Landing(_) => 0,
            Self::Search(_) => 1,
            Self::Product(_) => 2,
            Self::Report => 3,
        }
    }
}

fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Spaces are all that a search needs; its words are ASCII.
fn decode(value: &str) -> String {
    value.replace("%20", " ").replace('+', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &'static str, expected: Option<&Route>) {
        assert_eq!(Route::parse(&Uri::from_static(uri)).as_ref(), expected, "{uri}");
    }

    #[test]
    fn a_route_is_read_from_path_and_query() {
        check("/", Some(&Route::Landing(1)));
        check("/?page=12", Some(&Route::Landing(12)));
        check("/?page=last", None);
        check("/search?lang=en&q=copper+kettle%20no", Some(&Route::Search("copper kettle no".to_owned())));
        check("/search", Some(&Route::Search(String::new())));
        check("/product/42", Some(&Route::Product(42)));
        check("/product/lamp", None);
        check("/report", Some(&Route::Report));
        check("/reports", None);
    }
}
