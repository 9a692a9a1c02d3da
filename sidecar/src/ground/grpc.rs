//! gRPC over HTTP/2: the frame of a message, and what a response says of its call.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};

use super::outcome::{Failure, Outcome};

/// The header that tells the app how long its answer is waited for.
pub const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Before each message: whether it is compressed, then its length.
const PREFIX: usize = 5;
/// By number, as gRPC numbers them.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The status of a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub u32);

impl Code {
    /// There is no such thing.
    pub const NOT_FOUND: Self = Self(5);
    /// There is no such method.
    pub const UNIMPLEMENTED: Self = Self(12);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// `message` as the one message of a stream.
#[must_use]
pub fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

/// The first message of a stream; `None` where it is not whole, or compressed, which we ask nobody for.
#[must_use]
pub fn first_message(stream: &[u8]) -> Option<&[u8]> {
    let (prefix, rest) = stream.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    rest.get(..length as usize).filter(|_| prefix[0] == 0)
}

/// `limit` as the header [`TIMEOUT`] has it.
#[must_use]
pub fn timeout(limit: Duration) -> HeaderValue {
    // Eight digits at most.
    let millis = limit.as_millis().clamp(1, 99_999_999);
    HeaderValue::try_from(format!("{millis}m")).unwrap_or(HeaderValue::from_static("10S"))
}

/// Whether a response comes from gRPC.
#[must_use]
pub fn is_grpc(status: StatusCode, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    status == StatusCode::OK && kind.starts_with(b"application/grpc")
}

/// What came of a call, by the head and the trailers of its response; an answer without a message has its trailers in the
/// head. A call that succeeded is a response with status 200.
#[must_use]
pub fn outcome(status: StatusCode, headers: &HeaderMap, trailers: Option<&HeaderMap>) -> Outcome {
    if !is_grpc(status, headers) {
        let is_error = status.is_client_error() || status.is_server_error();
        return if is_error { Outcome::Status(status.as_u16()) } else { Outcome::Failed(Failure::NotGrpc) };
    }
    let said = trailers.and_then(|trailers| trailers.get(STATUS)).or_else(|| headers.get(STATUS));
    match said.and_then(|code| code.to_str().ok()?.parse().ok()) {
        Some(0) => Outcome::Status(StatusCode::OK.as_u16()),
        Some(code) => Outcome::Called(Code(code)),
        None => Outcome::Failed(Failure::NotGrpc),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        of.iter().map(header).collect()
    }

    fn check(status: u16, head: &[(&'static str, &'static str)], trailers: Option<&'static str>, said: &str) {
        let trailers = trailers.map(|code| headers(&[("grpc-status", code)]));
        let outcome = outcome(StatusCode::from_u16(status).unwrap(), &headers(head), trailers.as_ref());
        assert_eq!(outcome.to_string(), said, "{status} {head:?} {trailers:?}");
        assert_eq!(outcome.is_success(), said == "200");
    }

    #[test]
    fn a_calls_outcome_is_its_grpc_status() {
        let grpc = ("content-type", "application/grpc");
        check(200, &[grpc], Some("0"), "200");
        check(200, &[("content-type", "application/grpc+proto")], Some("0"), "200");
        check(200, &[grpc], Some("14"), "gRPC UNAVAILABLE");
        check(200, &[grpc, ("grpc-status", "12")], None, "gRPC UNIMPLEMENTED");
        check(200, &[grpc], Some("99"), "gRPC 99");
    }

    #[test]
    fn what_does_not_come_from_grpc_is_no_success() {
        let grpc = ("content-type", "application/grpc");
        check(200, &[("content-type", "text/html")], None, "not gRPC");
        check(200, &[], Some("0"), "not gRPC");
        check(200, &[grpc], None, "not gRPC");
        check(200, &[grpc], Some("fine"), "not gRPC");
        check(302, &[], None, "not gRPC");
        check(404, &[], None, "404");
        check(503, &[grpc], Some("0"), "503");
    }

    #[test]
    fn a_message_that_is_not_whole_is_none() {
        assert_eq!(first_message(&frame(b"abc")), Some(&b"abc"[..]));
        assert_eq!(first_message(&[&frame(b"")[..], &frame(b"second")].concat()), Some(&b""[..]));
        for stream in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x04abc", b"\x01\0\0\0\x01a", b"\0\xff\xff\xff\xffa"]
        {
            assert_eq!(first_message(stream), None, "{stream:?}");
        }
    }

    #[test]
    fn a_limit_is_told_in_milliseconds() {
        for (limit, told) in [
            (Duration::from_secs(10), "10000m"),
            (Duration::from_nanos(1), "1m"),
            (Duration::MAX, "99999999m"),
        ] {
            assert_eq!(timeout(limit), told);
        }
    }

    proptest! {
        #[test]
        fn framing_and_reading_are_inverse(message: Vec<u8>) {
            let framed = frame(&message);
            prop_assert_eq!(first_message(&framed), Some(&message[..]));
        }

        #[test]
        fn no_stream_panics(stream: Vec<u8>) {
            let _ = first_message(&stream);
        }
    }
}
