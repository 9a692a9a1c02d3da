//! Numbers within bounds.

use std::{fmt, str::FromStr};

use proto::plan::{MAX_CONCURRENCY, MAX_REQUESTS, MAX_RETRIES, Until};

/// Why a text is no number of the kind that was asked for; reads after the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// No whole number.
    #[error("is not a whole number")]
    NotWhole,
    /// A number that is too small or too large.
    #[error("is out of range")]
    OutOfRange,
    /// No percent sign, or no number before it.
    #[error("is not a percentage")]
    NotPercentage,
}

macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident, $range:expr, $default:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(u32);

        impl $name {
            /// The number.
            #[must_use]
            pub fn get(self) -> u32 {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }

        impl FromStr for $name {
            type Err = NumberError;

            fn from_str(text: &str) -> Result<Self, NumberError> {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                if !digits {
                    return Err(NumberError::NotWhole);
                }
                let number = text.parse().map_err(|_| NumberError::OutOfRange)?;
                if $range.contains(&number) { Ok(Self(number)) } else { Err(NumberError::OutOfRange) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

bounded! {
    /// How many requests, 1 to 12,000; 3 by default.
    RequestCount, (1..=MAX_REQUESTS), 3
}

impl RequestCount {
    /// Where a pod names no number: to become stable, apps need more requests than anybody would guess.
    #[must_use]
    pub fn usual(until: Until) -> Self {
        match until {
            Until::Count => Self::default(),
            Until::Stable => Self(2_000),
        }
    }
}

bounded! {
    /// Requests in flight at most, 1 to 64; 64 by default.
    Concurrency, (1..=MAX_CONCURRENCY), MAX_CONCURRENCY
}

bounded! {
    /// Connections at least, 1 to 64; 1 by default.
    Connections, (1..=MAX_CONCURRENCY), 1
}

bounded! {
    /// Further tries of a request, 0 to 10; none by default.
    Retries, (0..=MAX_RETRIES), 0
}

/// Share of requests that must succeed, in thousandths of a percent; 50 % by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuccessThreshold(u32);

impl SuccessThreshold {
    /// The share, 0 to 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / 100_000.0
    }
}

impl Default for SuccessThreshold {
    fn default() -> Self {
        Self(50_000)
    }
}

impl FromStr for SuccessThreshold {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let number = text.strip_suffix('%').ok_or(NumberError::NotPercentage)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
            return Err(NumberError::NotPercentage);
        }
        let thousandths: u32 =
            format!("{whole}{fraction:0<3}").parse().map_err(|_| NumberError::OutOfRange)?;
        if thousandths <= 100_000 { Ok(Self(thousandths)) } else { Err(NumberError::OutOfRange) }
    }
}

impl fmt::Display for SuccessThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1_000 {
            0 => write!(f, "{}%", self.0 / 1_000),
            rest => write!(f, "{}.{rest:03}%", self.0 / 1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_outside_their_bounds_are_refused() {
        assert_eq!("0".parse::<RequestCount>(), Err(NumberError::OutOfRange));
        assert_eq!("12001".parse::<RequestCount>(), Err(NumberError::OutOfRange));
        assert_eq!("99999999999999999999".parse::<RequestCount>(), Err(NumberError::OutOfRange));
        assert_eq!("+3".parse::<RequestCount>(), Err(NumberError::NotWhole));
        assert_eq!("".parse::<Concurrency>(), Err(NumberError::NotWhole));
        assert_eq!("65".parse::<Connections>(), Err(NumberError::OutOfRange));
        assert_eq!("11".parse::<Retries>(), Err(NumberError::OutOfRange));
        assert_eq!("0.95".parse::<SuccessThreshold>(), Err(NumberError::NotPercentage));
        assert_eq!("100.001%".parse::<SuccessThreshold>(), Err(NumberError::OutOfRange));
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(
            requests in 1..=MAX_REQUESTS, concurrency in 1..=MAX_CONCURRENCY, threshold in 0..=100_000_u32,
        ) {
            prop_assert_eq!(requests.to_string().parse(), Ok(RequestCount(requests)));
            prop_assert_eq!(concurrency.to_string().parse(), Ok(Concurrency(concurrency)));
            let threshold = SuccessThreshold(threshold);
            prop_assert_eq!(threshold.to_string().parse(), Ok(threshold));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = (text.parse::<RequestCount>(), text.parse::<SuccessThreshold>());
        }
    }
}
