//! The messages that JSON writes in a form of their own.

use prost::Message;
use prost_types::{Duration, FieldMask, Timestamp};
use serde_json::Value;

use crate::ground::descriptors::Field;

const NULL: &str = "google.protobuf.NullValue";
const VALUE: &str = "google.protobuf.Value";

/// Makes the bytes of a message from its text; `None` where that is none of it.
type OfText = fn(&str) -> Option<Vec<u8>>;

/// How a message of the type `name` is made, where JSON writes it as a text.
pub(super) fn of_text(name: &str) -> Option<OfText> {
    match name {
        "google.protobuf.Timestamp" => Some(timestamp),
        "google.protobuf.Duration" => Some(duration),
        "google.protobuf.FieldMask" => Some(mask),
        "google.protobuf.Any" => Some(|_| None),
        _ => None,
    }
}

/// The number of the one field that `value` is the whole content of, in a message of the type `name`.
pub(super) fn only_field(name: &str, value: &Value) -> Option<u32> {
    match name {
        "google.protobuf.DoubleValue"
        | "google.protobuf.FloatValue"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt64Value"
        | "google.protobuf.Int32Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.BoolValue"
        | "google.protobuf.StringValue"
        | "google.protobuf.BytesValue"
        | "google.protobuf.Struct"
        | "google.protobuf.ListValue" => Some(1),
        VALUE => Some(match value {
            Value::Null => 1,
            Value::Number(_) => 2,
            Value::String(_) => 3,
            Value::Bool(_) => 4,
            Value::Object(_) => 5,
            Value::Array(_) => 6,
        }),
        _ => None,
    }
}

/// Whether null is a value of `field`; of any other it means that the field is absent.
pub(super) fn is_null(field: &Field) -> bool {
    [NULL, VALUE].contains(&field.type_name())
}

fn timestamp(text: &str) -> Option<Vec<u8>> {
    // From year 1 to 9999, in seconds of Unix.
    const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    let time: Timestamp = text.parse().ok()?;
    RANGE.contains(&time.seconds).then(|| time.encode_to_vec())
}

fn duration(text: &str) -> Option<Vec<u8>> {
    // Some 10,000 years.
    const MOST: i64 = 315_576_000_000;
    let duration: Duration = text.parse().ok()?;
    (-MOST..=MOST).contains(&duration.seconds).then(|| duration.encode_to_vec())
}

/// Paths in camelCase with commas.
fn mask(text: &str) -> Option<Vec<u8>> {
    let path = |text: &str| {
        let mut path = String::new();
        for letter in text.chars() {
            if letter == '_' {
                return None;
            }
            if letter.is_ascii_uppercase() {
                path.push('_');
            }
            path.push(letter.to_ascii_lowercase());
        }
        Some(path)
    };
    let paths = text.split(',').filter(|text| !text.is_empty()).map(path).collect::<Option<_>>()?;
    Some(FieldMask { paths }.encode_to_vec())
}
