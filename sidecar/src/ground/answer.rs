//! What came back for a request, with what the app asks for beside.

use std::time::{Duration, SystemTime};

use super::outcome::{Failure, Outcome};

/// What came back for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What came of it.
    pub outcome: Outcome,
    /// How long the app wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// An `outcome` and, where the app sent it, the value of `Retry-After`: seconds, or a date as HTTP writes it. It asks
    /// for a pause only beside 429 and 503; a value that is neither, or a date that is over, asks for none.
    #[must_use]
    pub fn of(outcome: Outcome, retry_after: Option<&str>, now: SystemTime) -> Self {
        let retry_after = retry_after.filter(|_| matches!(outcome, Outcome::Status(429 | 503)));
        Self { outcome, retry_after: retry_after.and_then(|text| pause(text, now)) }
    }
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, retry_after: None }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Outcome::Failed(failure).into()
    }
}

fn pause(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long time.
        return Some(Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn asked(status: u16, retry_after: &str) -> Option<u64> {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        Answer::of(Outcome::Status(status), Some(retry_after), now).retry_after.map(|pause| pause.as_secs())
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date() {
        assert_eq!(asked(503, "120"), Some(120));
        assert_eq!(asked(429, " 0 "), Some(0));
        assert_eq!(asked(503, "Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(asked(503, "Sunday, 06-Nov-94 08:50:07 GMT"), Some(30));
        assert_eq!(asked(503, "99999999999999999999"), Some(u32::MAX.into()));
    }

    #[test]
    fn what_asks_for_no_pause_is_none() {
        for text in ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994 08:49:07 GMT"] {
            assert_eq!(asked(503, text), None, "{text}");
        }
        assert_eq!(asked(500, "120"), None, "the status says nothing of it");
        assert_eq!(asked(301, "120"), None);
        assert_eq!(Answer::of(Outcome::Status(503), None, UNIX_EPOCH).retry_after, None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", seconds in 0..4_000_000_000_u64) {
            _ = Answer::of(Outcome::Status(503), Some(&text), UNIX_EPOCH + Duration::from_secs(seconds));
        }
    }
}
