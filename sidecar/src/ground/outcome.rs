//! What came of a request.

use std::{fmt, io};

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A response with this status.
    Status(u16),
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

    /// The response's status; 0 without a response.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Status(status) => status,
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
        })
    }
}
