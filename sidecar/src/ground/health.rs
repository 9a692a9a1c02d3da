//! The gRPC health service, `grpc.health.v1.Health`.

use bytes::Bytes;
use prost::Message;

use super::{grpc, outcome::Failure};

/// The method that tells how a service is.
pub const CHECK: &str = "/grpc.health.v1.Health/Check";
const SERVING: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Asks how `service` is; the empty name is the server as a whole.
#[must_use]
pub fn request(service: &str) -> Bytes {
    grpc::frame(&Request { service: service.to_owned() }.encode_to_vec())
}

/// Whether `message` says that the service takes calls.
pub fn judge(message: &[u8]) -> Result<(), Failure> {
    match Response::decode(message) {
        Ok(Response { status: SERVING }) => Ok(()),
        Ok(_) => Err(Failure::NotServing),
        Err(_) => Err(Failure::NotGrpc),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_and_the_server_has_no_name() {
        assert_eq!(request("shop").as_ref(), b"\0\0\0\0\x06\x0a\x04shop");
        assert_eq!(request("").as_ref(), b"\0\0\0\0\0");
    }

    #[test]
    fn only_serving_is_an_answer() {
        for (message, expected) in [
            (&b"\x08\x01"[..], Ok(())),
            (b"\x08\x02", Err(Failure::NotServing)),
            (b"", Err(Failure::NotServing)),
            (b"\xff", Err(Failure::NotGrpc)),
        ] {
            assert_eq!(judge(message), expected, "{message:?}");
        }
    }
}
