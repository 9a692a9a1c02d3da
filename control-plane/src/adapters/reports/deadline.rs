//! How long a call may take.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

/// For a call without a deadline of its own, and at most for one with a longer one: an apply took the API server 8 ms at
/// the median, and sidecars ask again after 10 s.
const LONGEST: Duration = Duration::from_secs(30);

/// What the caller asked for, where it did: the end of a call that goes on for longer than its first answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked(pub(super) Option<Instant>);

impl Asked {
    /// Reads `grpc-timeout`; one that is none is none.
    pub(super) fn read(headers: &HeaderMap, now: Instant) -> Self {
        let asked = headers.get("grpc-timeout").and_then(|value| duration(value.to_str().ok()?));
        Self(asked.and_then(|asked| now.checked_add(asked)))
    }

    /// When the first answer is due.
    pub(super) fn answer(self, now: Instant) -> Instant {
        let longest = now + LONGEST;
        self.0.map_or(longest, |asked| asked.min(longest))
    }
}

/// At most eight digits and a unit.
fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        assert_eq!(duration("1S"), Some(Duration::from_secs(1)));
        assert_eq!(duration("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(duration("20m"), Some(Duration::from_millis(20)));
        for text in ["", "S", "1", "123456789S", "-1S", "1 S", "1s", "1.5S", "ä"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_when_it_asks_to_and_after_30_seconds_at_the_latest() {
        let now = Instant::now();
        let answer = |value: Option<&'static str>| {
            let headers =
                value.map(|value| ("grpc-timeout".parse().unwrap(), value.parse().unwrap())).into_iter();
            Asked::read(&headers.collect(), now).answer(now) - now
        };
        assert_eq!(answer(None), LONGEST);
        assert_eq!(answer(Some("5S")), Duration::from_secs(5));
        assert_eq!(answer(Some("1H")), LONGEST);
        assert_eq!(answer(Some("soon")), LONGEST);
    }
}
