//! The types and services that `.proto` files define, as far as calls need them.

use std::{collections::BTreeMap, mem::take, ops::RangeInclusive};

use prost::{DecodeError, Message};

/// One `FileDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Form>,
    #[prost(message, repeated, tag = "5")]
    enums: Vec<EnumForm>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

/// The form of a message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Form {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    nested: Vec<Form>,
    #[prost(message, repeated, tag = "4")]
    enums: Vec<EnumForm>,
    #[prost(message, optional, tag = "7")]
    options: Option<FormOptions>,
}

#[derive(Clone, PartialEq, Message)]
struct FormOptions {
    #[prost(bool, tag = "7")]
    map_entry: bool,
}

/// A field of a message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "3")]
    pub(super) number: u32,
    #[prost(int32, tag = "4")]
    label: i32,
    #[prost(int32, tag = "5")]
    pub(super) kind: i32,
    #[prost(string, tag = "6")]
    type_name: String,
    #[prost(int32, optional, tag = "9")]
    pub(super) oneof: Option<i32>,
    #[prost(string, tag = "10")]
    json_name: String,
}

/// An enum.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumForm {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    values: Vec<EnumValue>,
}

#[derive(Clone, PartialEq, Message)]
struct EnumValue {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "2")]
    number: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

/// A method of a service.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    input: String,
    #[prost(bool, tag = "5")]
    client_streams: bool,
    #[prost(bool, tag = "6")]
    server_streams: bool,
}

const REPEATED: i32 = 3;
/// The numbers that fields have in protobuf.
const NUMBERS: RangeInclusive<u32> = 1..=(1 << 29) - 1;

impl Form {
    /// Whether it is an entry of a map.
    pub(super) fn is_map_entry(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.map_entry)
    }

    /// The field that JSON calls `name`: as the `.proto` file does, or in camelCase.
    pub(super) fn field_named(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name || field.json_name() == name)
    }

    /// The field with this number.
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

impl Field {
    /// Whether it may be there several times.
    pub(super) fn is_repeated(&self) -> bool {
        self.label == REPEATED
    }

    /// The full name of its message or enum.
    pub(super) fn type_name(&self) -> &str {
        self.type_name.trim_start_matches('.')
    }

    /// As written, else derived as protoc does.
    fn json_name(&self) -> String {
        if !self.json_name.is_empty() {
            return self.json_name.clone();
        }
        let mut parts = self.name.split('_');
        let mut name = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let mut letters = part.chars();
            name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            name += letters.as_str();
        }
        name
    }
}

impl EnumForm {
    /// The number of the value `name`.
    pub(super) fn number(&self, name: &str) -> Option<i32> {
        self.values.iter().find(|value| value.name == name).map(|value| value.number)
    }
}

impl Method {
    /// Its name within the service.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The full name of the message that it takes.
    pub(super) fn input(&self) -> &str {
        self.input.trim_start_matches('.')
    }

    /// Whether more than one message goes either way.
    pub(super) fn streams(&self) -> bool {
        self.client_streams || self.server_streams
    }
}

/// Everything that some files define, by full name.
#[derive(Debug, Default)]
pub struct Descriptors {
    forms: BTreeMap<String, Form>,
    enums: BTreeMap<String, EnumForm>,
    services: BTreeMap<String, Vec<Method>>,
}

impl Descriptors {
    /// Adds what the `FileDescriptorProto` in `bytes` defines.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let file = File::decode(bytes)?;
        for form in file.messages {
            self.add_form(&file.package, form);
        }
        for form in file.enums {
            self.add_enum(&file.package, form);
        }
        for service in file.services {
            self.services.insert(joined(&file.package, &service.name), service.methods);
        }
        Ok(())
    }

    fn add_form(&mut self, scope: &str, mut form: Form) {
        let name = joined(scope, &form.name);
        for nested in take(&mut form.nested) {
            self.add_form(&name, nested);
        }
        for nested in take(&mut form.enums) {
            self.add_enum(&name, nested);
        }
        form.fields.retain(|field| NUMBERS.contains(&field.number));
        self.forms.insert(name, form);
    }

    fn add_enum(&mut self, scope: &str, form: EnumForm) {
        self.enums.insert(joined(scope, &form.name), form);
    }

    /// The message of this full name.
    pub(super) fn form(&self, name: &str) -> Option<&Form> {
        self.forms.get(name)
    }

    /// The enum of this full name.
    pub(super) fn enum_form(&self, name: &str) -> Option<&EnumForm> {
        self.enums.get(name)
    }

    /// The methods of the service of this full name.
    pub(super) fn methods(&self, service: &str) -> Option<&[Method]> {
        self.services.get(service).map(Vec::as_slice)
    }
}

fn joined(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
