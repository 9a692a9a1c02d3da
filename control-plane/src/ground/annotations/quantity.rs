//! Resource quantities: `100m`, `16Mi`, `64MB`.

use std::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
};

/// An amount of a resource (cores or bytes), with the text that it was written as.
#[derive(Debug, Clone)]
pub struct Quantity {
    text: String,
    nanos: i128,
}

/// A text that is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a quantity")]
pub struct QuantityError;

const NANOS: i128 = 1_000_000_000;
const SUFFIXES: [(&str, i128); 20] = [
    ("", 1_000_000_000),
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("k", 1_000_000_000_000),
    ("M", 1_000_000_000_000_000),
    ("G", 1_000_000_000_000_000_000),
    ("T", 1_000_000_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000_000_000),
    ("Ki", 1_000_000_000 << 10),
    ("Mi", 1_000_000_000 << 20),
    ("Gi", 1_000_000_000 << 30),
    ("Ti", 1_000_000_000 << 40),
    ("Pi", 1_000_000_000 << 50),
    ("Ei", 1_000_000_000 << 60),
    // People write these; Kubernetes does not know them.
    ("KB", 1_000_000_000_000),
    ("MB", 1_000_000_000_000_000),
    ("GB", 1_000_000_000_000_000_000),
    ("TB", 1_000_000_000_000_000_000_000),
];

impl Quantity {
    /// Bytes, for memory; part of a byte counts as one.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from((self.nanos + 999_999_999) / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// `parts` parts of this, rounded up to `grain`: no fraction that the API server would round by itself.
    #[must_use]
    pub fn divided_by(&self, parts: &Self, grain: &Self) -> Self {
        let exact = self.nanos.saturating_mul(NANOS).checked_div(parts.nanos).unwrap_or(self.nanos);
        let grain = grain.nanos.max(1);
        Self::of_nanos((exact + grain - 1) / grain * grain)
    }

    /// Whether this is at most `factor` times `other`.
    #[must_use]
    pub fn is_at_most(&self, factor: &Self, other: &Self) -> bool {
        self.nanos.saturating_mul(NANOS) <= factor.nanos.saturating_mul(other.nanos)
    }

    /// This many times as much.
    #[must_use]
    pub fn times(&self, factor: i32) -> Self {
        Self::of_nanos(self.nanos.saturating_mul(factor.into()))
    }

    fn of_nanos(nanos: i128) -> Self {
        let (whole, mebi) = (nanos / NANOS, nanos / (NANOS << 20));
        let text = match nanos {
            0 => "0".to_owned(),
            _ if nanos % (NANOS << 20) == 0 => format!("{mebi}Mi"),
            _ if nanos % NANOS == 0 => whole.to_string(),
            _ if nanos % 1_000_000 == 0 => format!("{}m", nanos / 1_000_000),
            _ => format!("{nanos}n"),
        };
        Self { text, nanos }
    }

    /// Whether this is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }
}

impl Default for Quantity {
    fn default() -> Self {
        Self::of_nanos(0)
    }
}

impl Add for &Quantity {
    type Output = Quantity;

    fn add(self, other: Self) -> Quantity {
        Quantity::of_nanos(self.nanos.saturating_add(other.nanos))
    }
}

impl Sub for &Quantity {
    type Output = Quantity;

    /// May be less than nothing.
    fn sub(self, other: Self) -> Quantity {
        Quantity::of_nanos(self.nanos.saturating_sub(other.nanos))
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(QuantityError);
        }
        let scale = scale(suffix).ok_or(QuantityError)?;
        let digits: i128 = format!("0{whole}{fraction}").parse().map_err(|_| QuantityError)?;
        let divisor = u32::try_from(fraction.len()).ok().and_then(|places| 10_i128.checked_pow(places));
        let nanos = digits.checked_mul(scale).ok_or(QuantityError)? / divisor.ok_or(QuantityError)?;
        // Kubernetes does not know `MB`: what we pass on is plain bytes.
        let text = if suffix.ends_with('B') { (nanos / 1_000_000_000).to_string() } else { text.to_owned() };
        Ok(Self { text, nanos })
    }
}

/// The nanos of one unit: a suffix, or an exponent as in `12e3`.
fn scale(suffix: &str) -> Option<i128> {
    if let Some((_, scale)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) {
        return Some(*scale);
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    10_i128.checked_pow(u32::try_from(exponent.checked_add(9)?).ok()?)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, same_as: &str) {
        assert_eq!(text.parse::<Quantity>(), same_as.parse::<Quantity>(), "{text} and {same_as}");
        assert!(text.parse::<Quantity>().is_ok(), "{text}");
    }

    #[test]
    fn quantities_compare_by_value() {
        check("1", "1000m");
        check("0.5", "500m");
        check("1Gi", "1073741824");
        check("2k", "2e3");
        check("16MB", "16000000");
        check("1.5Ki", "1536");
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "m",
            "-1",
            "1,5",
            "1 Mi",
            "0x10",
            "1..5",
            "1e999",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(text.parse::<Quantity>(), Err(QuantityError), "{text:?}");
        }
    }

    #[test]
    fn a_unit_that_kubernetes_does_not_know_is_passed_on_as_bytes() {
        assert_eq!("16MB".parse::<Quantity>().unwrap().to_string(), "16000000");
        assert_eq!("16Mi".parse::<Quantity>().unwrap().to_string(), "16Mi");
    }

    #[test]
    fn sums_and_parts_are_written_as_people_write_them() {
        let q = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!((&q("1Gi") + &q("2Mi")).to_string(), "1026Mi");
        assert_eq!((&q("1") - &q("1500m")).to_string(), "-500m");
        assert_eq!(q("1m").times(3).to_string(), "3m");
        assert_eq!(q("100m").divided_by(&q("1.5"), &q("1m")).to_string(), "67m");
        assert_eq!(q("16Mi").divided_by(&q("3"), &q("1")).to_string(), "5592406");
        assert_eq!(q("1").divided_by(&q("0"), &q("1m")), q("1"));
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(number in 0..1_000_000_u32, suffix in "(n|u|m|k|M|G|Ki|Mi|Gi|)") {
            let quantity: Quantity = format!("{number}{suffix}").parse().unwrap();
            prop_assert_eq!(quantity.to_string().parse(), Ok(quantity));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
