//! Sends requests to the app, by whichever protocol they name.

mod pool;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::Request;
use proto::plan::Protocol;
use tokio::time::timeout;

use self::pool::{Pool, Transport};
use crate::ground::{answer::Answer, outcome::Failure};

/// Sends requests to one address.
#[derive(Debug)]
pub struct Sender {
    address: SocketAddr,
    clear: Pool,
    clear_http2: Pool,
    tls: Pool,
}

impl Sender {
    /// Sends to `address`, over at least `connections` of each protocol once there are as many requests.
    #[must_use]
    pub fn to(address: SocketAddr, connections: u32) -> Self {
        let pool = |transport| Pool::to(address, transport, connections as usize);
        Self {
            address,
            clear: pool(Transport::Clear),
            clear_http2: pool(Transport::ClearHttp2),
            tls: pool(Transport::Tls),
        }
    }

    /// Sends `request` and reads the response away, within `limit`.
    pub async fn send(&self, protocol: Protocol, request: Request<Bytes>, limit: Duration) -> Answer {
        let pool = match protocol {
            Protocol::Http => &self.clear,
            Protocol::H2c | Protocol::Grpc => &self.clear_http2,
            Protocol::Https => &self.tls,
        };
        let exchange = timeout(limit, pool.exchange(request)).await;
        exchange.unwrap_or(Err(Failure::TimedOut)).unwrap_or_else(Answer::from)
    }

    /// Where the requests go.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections opened so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        [&self.clear, &self.clear_http2, &self.tls].map(Pool::opened).iter().sum()
    }
}
