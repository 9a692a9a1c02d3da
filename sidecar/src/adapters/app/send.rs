//! Sends requests to the app, by whichever protocol they name.

mod pool;

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Request;
use tokio::time::timeout;

use self::pool::{Pool, Transport};
use super::response::Received;
use crate::ground::{answer::Answer, grpc, outcome::Failure, spoken::Spoken};

/// Sends requests to one address.
#[derive(Debug)]
pub struct Sender {
    address: SocketAddr,
    clear: Pool,
    clear_http2: Pool,
    tls: Pool,
    tls_http2: Pool,
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
            tls_http2: pool(Transport::TlsHttp2),
        }
    }

    /// Sends `request` and reads the response away, within `limit`, which a gRPC call tells the app.
    pub async fn send(
        &self,
        protocol: impl Into<Spoken>,
        mut request: Request<Bytes>,
        limit: Duration,
    ) -> Answer {
        let spoken = protocol.into();
        let pool = match spoken {
            Spoken::Http => &self.clear,
            Spoken::H2c | Spoken::Grpc => &self.clear_http2,
            Spoken::Https => &self.tls,
            Spoken::GrpcOverTls => &self.tls_http2,
        };
        let judge = if spoken.is_grpc() { Received::called } else { Received::answered };
        if spoken.is_grpc() {
            request.headers_mut().insert(grpc::TIMEOUT, grpc::timeout(limit));
        }
        let exchange = timeout(limit, pool.exchange(request)).await;
        let answer =
            |received: Received| Answer::of(judge(&received), received.retry_after(), SystemTime::now());
        exchange.unwrap_or(Err(Failure::TimedOut)).map_or_else(Answer::from, answer)
    }

    /// Where the requests go.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections opened so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        [&self.clear, &self.clear_http2, &self.tls, &self.tls_http2].map(Pool::opened).iter().sum()
    }
}
