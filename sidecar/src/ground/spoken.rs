//! What is spoken with the app.

use proto::plan::Protocol;

/// How a request travels to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1 in clear text.
    Http,
    /// HTTP over TLS, in the version that the app prefers.
    Https,
    /// HTTP/2 in clear text.
    H2c,
    /// gRPC in clear text.
    Grpc,
    /// gRPC over TLS.
    GrpcOverTls,
}

impl Spoken {
    /// Whether requests are gRPC calls.
    #[must_use]
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::GrpcOverTls)
    }
}

impl From<Protocol> for Spoken {
    /// gRPC in clear text, as long as the app is not known to speak it over TLS.
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http => Self::Http,
            Protocol::Https => Self::Https,
            Protocol::H2c => Self::H2c,
            Protocol::Grpc => Self::Grpc,
        }
    }
}
