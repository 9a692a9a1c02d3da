//! Numbers, texts and bytes.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost::encoding as wire;
use serde_json::Value;

use crate::ground::descriptors::Field;

/// Either alphabet, with padding or without.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Adds `field` with `value`; `None` where it does not take that.
pub(super) fn encode(field: &Field, value: &Value, bytes: &mut Vec<u8>) -> Option<()> {
    let tag = field.number;
    match field.kind {
        1 => wire::double::encode(tag, &double(value)?, bytes),
        2 => wire::float::encode(tag, &float(value)?, bytes),
        3 => wire::int64::encode(tag, &integer(value)?, bytes),
        4 => wire::uint64::encode(tag, &integer(value)?, bytes),
        5 => wire::int32::encode(tag, &integer(value)?, bytes),
        6 => wire::fixed64::encode(tag, &integer(value)?, bytes),
        7 => wire::fixed32::encode(tag, &integer(value)?, bytes),
        8 => wire::bool::encode(tag, &value.as_bool()?, bytes),
        9 => wire::string::encode(tag, &value.as_str()?.to_owned(), bytes),
        12 => wire::bytes::encode(tag, &binary(value.as_str()?)?, bytes),
        13 => wire::uint32::encode(tag, &integer(value)?, bytes),
        15 => wire::sfixed32::encode(tag, &integer(value)?, bytes),
        16 => wire::sfixed64::encode(tag, &integer(value)?, bytes),
        17 => wire::sint32::encode(tag, &integer(value)?, bytes),
        18 => wire::sint64::encode(tag, &integer(value)?, bytes),
        _ => return None,
    }
    Some(())
}

/// Adds the key of a map's entry, which JSON writes as a text whatever it is.
pub(super) fn encode_key(field: &Field, key: &str, bytes: &mut Vec<u8>) -> Option<()> {
    const BOOL: i32 = 8;
    let value = match (field.kind, key) {
        (BOOL, "true") => Value::Bool(true),
        (BOOL, "false") => Value::Bool(false),
        _ => Value::String(key.to_owned()),
    };
    encode(field, &value, bytes)
}

/// A whole number, also as a text or as a fraction of nothing, that fits.
pub(super) fn integer<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    let number = match value {
        Value::String(text) => text.parse().ok()?,
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => whole(number.as_f64()?)?,
        },
        _ => return None,
    };
    T::try_from(number).ok()
}

fn whole(number: f64) -> Option<i128> {
    // All of these are exact, and far above what any field takes.
    let is_whole = number.fract() == 0.0 && number.abs() < 1e30;
    #[allow(clippy::cast_possible_truncation)] // 1e30 is below 2^127
    is_whole.then_some(number as i128)
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok().filter(|number: &f64| number.is_finite()),
        },
        _ => None,
    }
}

fn float(value: &Value) -> Option<f32> {
    let number = double(value)?;
    #[allow(clippy::cast_possible_truncation)] // the nearest is what is meant
    let nearest = number as f32;
    (nearest.is_finite() || !number.is_finite()).then_some(nearest)
}

fn binary(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    GeneralPurpose::new(&alphabet, LENIENT).decode(text).ok()
}
