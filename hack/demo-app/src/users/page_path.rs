//! What a user visits.

use std::str::FromStr;

use http::uri::PathAndQuery;

/// A path of the shop, with a query maybe.
#[derive(Debug, Clone)]
pub struct PagePath(PathAndQuery);

/// Why a text is no [`PagePath`].
#[derive(Debug, thiserror::Error)]
pub enum PagePathError {
    /// It is relative.
    #[error("a path begins with /")]
    Relative,
    /// It has characters that a URL cannot have.
    #[error("not a path of a URL")]
    Invalid(#[from] http::uri::InvalidUri),
}

impl FromStr for PagePath {
    type Err = PagePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with('/') {
            return Err(PagePathError::Relative);
        }
        Ok(Self(text.parse()?))
    }
}

impl PagePath {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_keeps_its_query() {
        let path: PagePath = "/search?q=copper+lamp".parse().unwrap();
        assert_eq!(path.as_str(), "/search?q=copper+lamp");
        for text in ["", "search", "?q=lamp", "/a b"] {
            assert!(text.parse::<PagePath>().is_err(), "{text}");
        }
    }
}
