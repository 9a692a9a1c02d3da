//! The moment from which on an answer would reach nobody.

use std::time::Duration;

use axum::http::Uri;
use tokio::time::Instant;

use crate::ground::annotations::GoDuration;

/// What an API server waits for a webhook that sets no time of its own.
const DEFAULT: Duration = Duration::from_secs(10);
/// For the way back, and for the API server to try once more.
const MARGIN: Duration = Duration::from_millis(500);

/// When a review must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline(pub(super) Instant);

impl Deadline {
    /// Of a request that came in `now`; the API server says its patience in the query: `?timeout=5s`.
    pub(super) fn of(uri: &Uri, now: Instant) -> Self {
        let mut pairs = uri.query().unwrap_or_default().split('&');
        let said = pairs.find_map(|pair| pair.strip_prefix("timeout=")?.parse().ok());
        let patience = said.map_or(DEFAULT, |GoDuration(patience)| patience.min(DEFAULT));
        Self(now + patience.saturating_sub(MARGIN))
    }

    /// What is left of it, `most` at most.
    pub(super) fn left(self, most: Duration) -> Duration {
        self.0.saturating_duration_since(Instant::now()).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_says_how_long_the_caller_waits() {
        let now = Instant::now();
        for (query, left) in [
            ("/?timeout=5s", 4_500),
            ("/?a=b&timeout=1.5s", 1_000),
            ("/?timeout=100ms", 0),
            ("/?timeout=1h", 9_500),
            ("/?timeout=-5s", 9_500),
            ("/?timeout=soon", 9_500),
            ("/?timeout", 9_500),
            ("/", 9_500),
        ] {
            let deadline = Deadline::of(&query.parse().unwrap(), now);
            assert_eq!(deadline.0 - now, Duration::from_millis(left), "{query}");
        }
    }
}
