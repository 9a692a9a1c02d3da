//! A message in protobuf's JSON, encoded by its descriptors.
//!
//! Any other message than `google.protobuf.Any` and those with groups: their bytes are what `prost-reflect` makes of the
//! same JSON, by a test.

mod scalar;
mod well_known;

use std::collections::BTreeSet;

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::{Map, Value};

use super::descriptors::{Descriptors, Field, Form};

/// Most messages within one another: JSON is read 128 deep, and takes three of them for each value of a `Struct`. An app may
/// describe types that contain themselves where JSON shows no depth.
const MOST_NESTED: usize = 400;
const GROUP: i32 = 10;
const MESSAGE: i32 = 11;
const ENUM: i32 = 14;

/// Why a payload is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// There is no field of this path.
    NoField(String),
    /// The field of this path takes other values; empty: the message as a whole.
    Value(String),
    /// The type of the field of this path is not described, or is none that is sent.
    Unknown(String),
}

/// The bytes of `value` as a message of the type `name`.
pub fn encode(descriptors: &Descriptors, name: &str, value: &Value) -> Result<Vec<u8>, Misfit> {
    let mut encoder = Encoder { descriptors, path: Vec::new(), nested: 0, bytes: Vec::new() };
    match encoder.message(name, value) {
        Ok(()) => Ok(encoder.bytes),
        Err(fault) => {
            let path = encoder.path.join(".");
            Err(match fault {
                Fault::NoField => Misfit::NoField(path),
                Fault::Value => Misfit::Value(path),
                Fault::Unknown => Misfit::Unknown(path),
            })
        }
    }
}

/// What is wrong at the encoder's path.
#[derive(Debug, Clone, Copy)]
enum Fault {
    NoField,
    Value,
    Unknown,
}

struct Encoder<'d> {
    descriptors: &'d Descriptors,
    /// The names of the fields on the way to the value that is being encoded; stays where a fault is found.
    path: Vec<String>,
    nested: usize,
    bytes: Vec<u8>,
}

impl<'d> Encoder<'d> {
    /// The fields of the message `value`, one after the other.
    fn message(&mut self, name: &str, value: &Value) -> Result<(), Fault> {
        if let Some(encode) = well_known::of_text(name) {
            self.bytes.extend(value.as_str().and_then(encode).ok_or(Fault::Value)?);
            return Ok(());
        }
        let form = self.descriptors.form(name).ok_or(Fault::Unknown)?;
        match well_known::only_field(name, value) {
            Some(number) => self.field(form.field(number).ok_or(Fault::Unknown)?, value),
            None => self.fields(form, value.as_object().ok_or(Fault::Value)?),
        }
    }

    fn fields(&mut self, form: &Form, values: &Map<String, Value>) -> Result<(), Fault> {
        let mut oneofs = BTreeSet::new();
        for (name, value) in values {
            self.path.push(name.clone());
            let field = form.field_named(name).ok_or(Fault::NoField)?;
            let is_absent = value.is_null() && (field.is_repeated() || !well_known::is_null(field));
            if !is_absent {
                if field.oneof.is_some_and(|oneof| !oneofs.insert(oneof)) {
                    return Err(Fault::Value);
                }
                self.field(field, value)?;
            }
            self.path.pop();
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, value: &Value) -> Result<(), Fault> {
        let entry = self.descriptors.form(field.type_name()).filter(|form| form.is_map_entry());
        match (field.is_repeated(), entry, value) {
            (true, Some(entry), Value::Object(values)) => {
                values.iter().try_for_each(|(key, value)| self.entry(field, entry, key, value))
            }
            (true, None, Value::Array(values)) => {
                values.iter().try_for_each(|value| self.element(field, value))
            }
            (false, _, value) => self.element(field, value),
            _ => Err(Fault::Value),
        }
    }

    fn entry(&mut self, map: &Field, entry: &'d Form, key: &str, value: &Value) -> Result<(), Fault> {
        let key_field = entry.field(1).ok_or(Fault::Unknown)?;
        let value_field = entry.field(2).ok_or(Fault::Unknown)?;
        self.within(map.number, |encoder| {
            scalar::encode_key(key_field, key, &mut encoder.bytes).ok_or(Fault::Value)?;
            encoder.element(value_field, value)
        })
    }

    /// One value of `field`. Repeated numbers are not packed: whoever reads packed ones reads these as well.
    fn element(&mut self, field: &Field, value: &Value) -> Result<(), Fault> {
        match field.kind {
            GROUP => Err(Fault::Unknown),
            MESSAGE => self.within(field.number, |encoder| encoder.message(field.type_name(), value)),
            ENUM => {
                let number = match value {
                    Value::String(name) => {
                        let form = self.descriptors.enum_form(field.type_name()).ok_or(Fault::Unknown)?;
                        form.number(name)
                    }
                    Value::Null if well_known::is_null(field) => Some(0),
                    value => scalar::integer(value),
                };
                prost::encoding::int32::encode(field.number, &number.ok_or(Fault::Value)?, &mut self.bytes);
                Ok(())
            }
            _ => scalar::encode(field, value, &mut self.bytes).ok_or(Fault::Value),
        }
    }

    /// What `write` writes, as the field `number` with its length before it.
    fn within(
        &mut self,
        number: u32,
        write: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.nested == MOST_NESTED {
            return Err(Fault::Unknown);
        }
        self.nested += 1;
        let outer = std::mem::take(&mut self.bytes);
        write(self)?;
        self.nested -= 1;
        let inner = std::mem::replace(&mut self.bytes, outer);
        encode_key(number, WireType::LengthDelimited, &mut self.bytes);
        encode_varint(inner.len() as u64, &mut self.bytes);
        self.bytes.extend(inner);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
