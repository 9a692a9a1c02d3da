//! The paths to request.

use std::{fmt, str::FromStr};

use http::uri::PathAndQuery;

/// Most paths that one pod may name, and the longest.
const MAX_PATHS: usize = 64;
const MAX_PATH: usize = 2_048;

/// The value of `warmup-endpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The readiness probe's own path.
    Auto,
    /// These, one after the other, round and round; never empty.
    Paths(Vec<EndpointPath>),
}

/// A path with its query, with the leading `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPath(String);

/// Why a text is no path; reads after the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No path at all.
    #[error("names no path")]
    Empty,
    /// Another host than the pod itself.
    #[error("is a URL, and only paths of the pod itself are requested")]
    Url,
    /// `auto` and paths together.
    #[error("mixes auto with paths (a path of that name is /auto)")]
    AutoAmongOthers,
    /// A character that does not belong into a path.
    #[error("holds a character that must be percent-encoded")]
    BadCharacter,
    /// More than a pod's environment should carry.
    #[error("is too long or names too many paths")]
    TooLong,
}

impl EndpointPath {
    /// Path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointPath {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        if text.len() > MAX_PATH {
            return Err(EndpointError::TooLong);
        }
        if text.split(['/', '?']).next().is_some_and(|first| first.ends_with(':')) {
            return Err(EndpointError::Url);
        }
        let path = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
        let is_valid = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
            && PathAndQuery::from_str(&path).is_ok_and(|parsed| parsed.as_str() == path);
        if is_valid { Ok(Self(path)) } else { Err(EndpointError::BadCharacter) }
    }
}

impl fmt::Display for EndpointPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::Paths(vec![EndpointPath("/".to_owned())])
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        if text.split_whitespace().any(|word| word == "auto") {
            return Err(EndpointError::AutoAmongOthers);
        }
        let paths: Vec<EndpointPath> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        match paths.len() {
            0 => Err(EndpointError::Empty),
            1..=MAX_PATHS => Ok(Self::Paths(paths)),
            _ => Err(EndpointError::TooLong),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Paths(paths) => {
                let paths: Vec<&str> = paths.iter().map(EndpointPath::as_str).collect();
                f.write_str(&paths.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<&str, EndpointError>) {
        assert_eq!(
            text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()),
            expected.map(str::to_owned)
        );
    }

    #[test]
    fn paths_get_their_slash_and_keep_their_query() {
        check("/", Ok("/"));
        check("search?q=a%20b", Ok("/search?q=a%20b"));
        check(" /a\n\t/b  c ", Ok("/a /b /c"));
        check("auto", Ok("auto"));
        check("/auto", Ok("/auto"));
        check("?q=1", Ok("/?q=1"));
        check("/time/12:30", Ok("/time/12:30"));
    }

    #[test]
    fn what_is_no_path_of_the_pod_is_refused() {
        check("", Err(EndpointError::Empty));
        check("http://db/", Err(EndpointError::Url));
        check("https://db", Err(EndpointError::Url));
        check("auto /x", Err(EndpointError::AutoAmongOthers));
        check("/a#b", Err(EndpointError::BadCharacter));
        check("/ä", Err(EndpointError::BadCharacter));
        check(&"/a ".repeat(65), Err(EndpointError::TooLong));
        check(&"a".repeat(4_000), Err(EndpointError::TooLong));
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(text in "[a-z/?=&%0-9. ]{1,60}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Endpoint>();
        }
    }
}
