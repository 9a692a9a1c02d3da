//! Durations in Go's grammar: `30s`, `1m30s`, `1.5h`, `250ms`.

use std::{fmt, str::FromStr, time::Duration};

/// A duration that is written as Go writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Duration);

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No number, or none before a unit.
    #[error("not a duration")]
    Malformed,
    /// A number without a unit.
    #[error("a duration without a unit")]
    NoUnit,
    /// Below zero.
    #[error("a negative duration")]
    Negative,
    /// Past what 64 bits of nanoseconds hold, as in Go.
    #[error("a duration that is too long")]
    TooLong,
}

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        if unsigned == "0" {
            return Ok(Self(Duration::ZERO));
        }
        if unsigned.starts_with('-') {
            return Err(DurationError::Negative);
        }
        if unsigned.is_empty() {
            return Err(DurationError::Malformed);
        }
        let (mut rest, mut total) = (unsigned, 0_u64);
        while !rest.is_empty() {
            let (nanos, after) = term(rest)?;
            total = total.checked_add(nanos).ok_or(DurationError::TooLong)?;
            rest = after;
        }
        i64::try_from(total).map_err(|_| DurationError::TooLong)?;
        Ok(Self(Duration::from_nanos(total)))
    }
}

/// The first `number unit` of `text` in nanoseconds, and what follows it.
fn term(text: &str) -> Result<(u64, &str), DurationError> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(DurationError::NoUnit)?;
    let (number, rest) = text.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(DurationError::Malformed);
    }
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError::Malformed)?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| DurationError::TooLong)? };
    let nanos = whole.checked_mul(*scale).ok_or(DurationError::TooLong)?;
    nanos.checked_add(fraction_of(fraction, *scale)).map(|nanos| (nanos, rest)).ok_or(DurationError::TooLong)
}

/// `0.fraction` of `scale`, rounded down.
fn fraction_of(fraction: &str, scale: u64) -> u64 {
    let (mut value, mut weight) = (0, scale);
    for digit in fraction.bytes().take(19) {
        // Ten digits in, a weight is below a nanosecond for every unit: what is cut off is less than that.
        value += weight * u64::from(digit - b'0') / 10;
        weight /= 10;
    }
    value
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.as_secs();
        let (hours, minutes, seconds, nanos) =
            (total / 3600, total / 60 % 60, total % 60, self.0.subsec_nanos());
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        for (value, unit) in [(hours, "h"), (minutes, "m"), (seconds, "s")] {
            if value > 0 {
                write!(f, "{value}{unit}")?;
            }
        }
        for (value, unit) in [(nanos / 1_000_000, "ms"), (nanos / 1_000 % 1_000, "us"), (nanos % 1_000, "ns")]
        {
            if value > 0 {
                write!(f, "{value}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<u64, DurationError>) {
        let read = text.parse::<GoDuration>().map(|duration| u64::try_from(duration.0.as_nanos()).unwrap());
        assert_eq!(read, expected, "{text:?}");
    }

    #[test]
    fn durations_read_as_in_go() {
        check("0", Ok(0));
        check("30s", Ok(30_000_000_000));
        check("+1m30s", Ok(90_000_000_000));
        check("1.5h", Ok(5_400_000_000_000));
        check(".5s", Ok(500_000_000));
        check("1.s", Ok(1_000_000_000));
        check("250ms", Ok(250_000_000));
        check("3µs", Ok(3_000));
        check("0.100000000000000000001s", Ok(100_000_000));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        check("", Err(DurationError::Malformed));
        check("30", Err(DurationError::NoUnit));
        check("-30s", Err(DurationError::Negative));
        check("s", Err(DurationError::Malformed));
        check(".s", Err(DurationError::Malformed));
        check("1..5s", Err(DurationError::Malformed));
        check("30 s", Err(DurationError::Malformed));
        check("30sec", Err(DurationError::Malformed));
        check("9999999h", Err(DurationError::TooLong));
        check("99999999999999999999s", Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(nanos in 0..i64::MAX.unsigned_abs()) {
            let duration = GoDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[0-9.µmsh+-]{0,24}") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
