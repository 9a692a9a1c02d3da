//! A port, by number or by the name that a container gives it.

use std::{fmt, str::FromStr};

/// The value of `warmup-port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortSetting {
    /// 1 to 65535
    Number(u16),
    /// A name as Kubernetes takes it: at most 15 lower-case letters, digits and dashes, with a letter
    Name(String),
}

/// Why a text is no port; reads after the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortSettingError {
    /// A number outside 1–65535.
    #[error("is no port number")]
    OutOfRange,
    /// A name that no container port can have.
    #[error("is no port name")]
    NoName,
}

impl FromStr for PortSetting {
    type Err = PortSettingError;

    fn from_str(text: &str) -> Result<Self, PortSettingError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(0) | Err(_) => Err(PortSettingError::OutOfRange),
                Ok(number) => Ok(Self::Number(number)),
            };
        }
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = (1..=15).contains(&text.len())
            && text.bytes().all(allowed)
            && text.bytes().any(|byte| byte.is_ascii_lowercase())
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.contains("--");
        if is_name { Ok(Self::Name(text.to_owned())) } else { Err(PortSettingError::NoName) }
    }
}

impl fmt::Display for PortSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_no_container_port_can_be_is_refused() {
        for text in ["0", "65536", "-1"] {
            assert!(text.parse::<PortSetting>().is_err(), "{text}");
        }
        for text in ["", "HTTP", "a_b", "-a", "a-", "a--b", "a-name-that-is-too-long"] {
            assert_eq!(text.parse::<PortSetting>(), Err(PortSettingError::NoName), "{text}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(number in 1..=u16::MAX, name in "[a-z][a-z0-9]{0,14}") {
            prop_assert_eq!(number.to_string().parse(), Ok(PortSetting::Number(number)));
            prop_assert_eq!(name.parse(), Ok(PortSetting::Name(name)));
        }
    }
}
