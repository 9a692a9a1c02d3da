//! Sends requests to the app. Each protocol has a module of its own below, with the connections that it keeps.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::Request;
use tokio::time::timeout;

use crate::ground::outcome::{Failure, Outcome};

mod http1;

/// Sends requests to one address.
#[derive(Debug)]
pub struct Sender {
    http1: http1::Pool,
}

impl Sender {
    /// Sends to `address`.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        Self { http1: http1::Pool::to(address) }
    }

    /// Sends `request` and reads the response away, within `limit`.
    pub async fn send(&self, request: Request<Bytes>, limit: Duration) -> Outcome {
        let exchange = timeout(limit, self.http1.exchange(request)).await;
        exchange.unwrap_or(Err(Failure::TimedOut)).map_or_else(Outcome::Failed, Outcome::Status)
    }

    /// Where the requests go.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http1.address()
    }

    /// Connections opened so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.http1.opened()
    }
}
