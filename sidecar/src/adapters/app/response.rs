//! A response, read to its end.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header::RETRY_AFTER};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::connection::failure;
use crate::ground::{
    grpc,
    outcome::{Failure, Outcome},
};

/// Most bytes of a body that are read; the connection of a longer one is closed.
pub(super) const MAX_BODY: usize = 1 << 20;

/// What is left of a response.
#[derive(Debug)]
pub(super) struct Received {
    status: StatusCode,
    headers: HeaderMap,
    trailers: Option<HeaderMap>,
    /// The beginning of the body, as far as it was asked for.
    pub(super) body: Vec<u8>,
    /// Whether the body was read to its end.
    pub(super) is_whole: bool,
}

impl Received {
    /// Reads `response` away and keeps the first bytes of its body, `most` at most.
    pub(super) async fn read(response: Response<Incoming>, most: usize) -> Result<Self, Failure> {
        let (head, mut body) = response.into_parts();
        let (status, headers) = (head.status, head.headers);
        let mut received = Self { status, headers, trailers: None, body: Vec::new(), is_whole: true };
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| failure(&error))?;
            let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
            received.body.extend(data.iter().take(most - received.body.len()));
            length += data.len();
            if length > MAX_BODY {
                received.is_whole = false;
                break;
            }
            received.trailers = frame.into_trailers().ok();
        }
        Ok(received)
    }

    /// How long the app wants to be left alone, as it wrote that.
    pub(super) fn retry_after(&self) -> Option<&str> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()
    }

    /// What came of an HTTP request.
    pub(super) fn answered(&self) -> Outcome {
        Outcome::Status(self.status.as_u16())
    }

    /// What came of a gRPC call. Only a call that succeeds has a message, so that one whose message is too long to be read to
    /// its end counts as that.
    pub(super) fn called(&self) -> Outcome {
        if !self.is_whole && grpc::is_grpc(self.status, &self.headers) {
            return self.answered();
        }
        grpc::outcome(self.status, &self.headers, self.trailers.as_ref())
    }
}
