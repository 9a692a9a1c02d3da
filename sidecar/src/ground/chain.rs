//! An error with all that is behind it.

use std::error::Error;

/// The error and its sources as one line: `a plan cannot be read: no JSON: …`.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Some libraries quote their source themselves.
        if !text.ends_with(&cause) {
            text += &format!(": {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("nothing was sent")]
    struct Unsent(#[source] io::Error);

    #[test]
    fn an_error_is_followed_by_its_sources() {
        assert_eq!(chain(&Unsent(io::Error::other("no cable"))), "nothing was sent: no cable");
    }
}
