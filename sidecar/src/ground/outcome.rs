//! What came of a request.

use std::{fmt, io};

use super::grpc::Code;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A response with this status; a gRPC call that succeeded has 200.
    Status(u16),
    /// A gRPC call that failed with this status of its own.
    Called(Code),
    /// No response.
    Failed(Failure),
}

/// Why there was no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Nobody listens.
    Refused,
    /// It could not connect for another reason.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// No TLS with it.
    Tls,
    /// The connection ended before the response did.
    Closed,
    /// The answer was not HTTP.
    Malformed,
    /// The answer was HTTP, and not gRPC.
    NotGrpc,
    /// The app said that it does not serve yet.
    NotServing,
}

impl Outcome {
    /// Whether the status is 200–399.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Status(200..=399))
    }

    /// Whether it failed by the connection and not by what came over it.
    #[must_use]
    pub fn is_connection_error(self) -> bool {
        matches!(self, Self::Failed(Failure::Refused | Failure::Unreachable | Failure::Closed))
    }

    /// The response's HTTP status, which is 200 whatever gRPC says; 0 without a response.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Status(status) => status,
            Self::Called(_) => 200,
            Self::Failed(_) => 0,
        }
    }
}

impl Failure {
    /// Why a connection could not be opened.
    #[must_use]
    pub fn to_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Unreachable,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Called(code) => write!(f, "gRPC {code}"),
            Self::Failed(failure) => write!(f, "{failure}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Unreachable => "not connected",
            Self::TimedOut => "timed out",
            Self::Tls => "TLS handshake failed",
            Self::Closed => "connection closed",
            Self::Malformed => "not HTTP",
            Self::NotGrpc => "not gRPC",
            Self::NotServing => "not serving",
        })
    }
}
