//! The gRPC method to call, with its message.

use std::fmt;

use proto::{
    method::GrpcMethod,
    plan::{Protocol, Request},
};
use serde_json::{Map, Value};

use super::{
    keys,
    reader::{Reader, check_that},
};

/// Longest message, in characters.
const MAX_PAYLOAD: usize = 16_384;

/// A unary gRPC call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    method: GrpcMethod,
    payload: Payload,
}

/// A message as a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Payload(String);

impl Call {
    /// The request that makes the call.
    #[must_use]
    pub fn request(&self) -> Request {
        Request::call(&self.method, &*self.payload.0)
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self(keys::GRPC_PAYLOAD.default.to_owned())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.method.fmt(f)
    }
}

/// How requests travel, and the call that [`Protocol::Grpc`] makes. What belongs to another protocol than the pod's is
/// refused: it would be ignored.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> (Protocol, Option<Call>) {
    let method = reader.read(&keys::GRPC_METHOD, str::parse::<GrpcMethod>);
    let payload = reader.read(&keys::GRPC_PAYLOAD, payload).unwrap_or_default();
    let Some(protocol) = protocol(reader) else { return Default::default() };
    if protocol == Protocol::Grpc {
        if !reader.has(&keys::GRPC_METHOD) {
            reader.bad(&keys::GRPC_METHOD, "is missing, and protocol grpc needs it".to_owned());
        }
        if reader.is_more_than_default(&keys::ENDPOINT) {
            reader.contradicts(&keys::ENDPOINT, "is not requested by protocol grpc; leave it out");
        }
    } else {
        for key in [&keys::GRPC_METHOD, &keys::GRPC_PAYLOAD] {
            if reader.is_more_than_default(key) {
                reader.contradicts(
                    key,
                    "is for protocol grpc alone; set kube-booster.io/warmup-protocol: grpc, or leave it out",
                );
            }
        }
    }
    (protocol, method.map(|method| Call { method, payload }))
}

/// `None` where it is bad.
fn protocol(reader: &mut Reader<'_, '_>) -> Option<Protocol> {
    if !reader.has(&keys::PROTOCOL) {
        return Some(Protocol::default());
    }
    reader.read(&keys::PROTOCOL, |text| match text {
        "http" => Ok(Protocol::Http),
        "https" => Ok(Protocol::Https),
        "h2c" => Ok(Protocol::H2c),
        "grpc" => Ok(Protocol::Grpc),
        _ => Err("is no protocol"),
    })
}

fn payload(text: &str) -> Result<Payload, String> {
    check_that(text.chars().count() <= MAX_PAYLOAD, "is longer than 16384 characters")?;
    // As the sidecar reads it, which minds numbers, escapes and nesting, too.
    let is_object = serde_json::from_str::<Map<String, Value>>(text).is_ok();
    check_that(is_object, "is no JSON object")?;
    Ok(Payload(text.to_owned()))
}
