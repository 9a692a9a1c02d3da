//! How often users arrive.

use std::str::FromStr;
use std::time::Duration;

const MOST: f64 = 10_000.0;

/// Requests per second, above 0 and at most 10,000.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

/// Why a text is no [`Rate`].
#[derive(Debug, thiserror::Error)]
#[error("a rate is a number above 0 and at most {MOST}, in requests per second")]
pub struct RateError;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(rate) if rate > 0.0 && rate <= MOST => Ok(Self(rate)),
            _ => Err(RateError),
        }
    }
}

impl Rate {
    /// When requests leave within `duration`, from its start: request i at i / rate.
    pub fn schedule(self, duration: Duration) -> impl Iterator<Item = Duration> {
        let offsets = (0_u32..).map_while(move |i| Duration::try_from_secs_f64(f64::from(i) / self.0).ok());
        offsets.take_while(move |offset| *offset < duration || offset.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_leaves_at_once_and_the_last_before_the_end() {
        let rate: Rate = "4".parse().unwrap();
        let offsets: Vec<_> =
            rate.schedule(Duration::from_secs(1)).map(|offset| offset.as_millis()).collect();
        assert_eq!(offsets, [0, 250, 500, 750]);
        assert_eq!(rate.schedule(Duration::ZERO).count(), 1);
    }

    #[test]
    fn nonsense_is_no_rate() {
        for text in ["0", "-1", "NaN", "inf", "10001", "fast", ""] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
