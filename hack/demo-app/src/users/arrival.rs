//! The moment when the shop first accepts a connection.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::Origin;

const EVERY: Duration = Duration::from_millis(10);
/// An attempt that meets silence (a dropped packet) is given up for a fresh one.
const ATTEMPT: Duration = Duration::from_millis(250);

/// Knocks until the door opens. The error is the last attempt's.
pub(super) async fn first_connection(origin: &Origin, limit: Duration) -> io::Result<TcpStream> {
    let end = Instant::now() + limit;
    let mut knocks = interval(EVERY);
    knocks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    let opened = timeout_at(end, async {
        loop {
            knocks.tick().await;
            match attempt(origin).await {
                Ok(stream) => break stream,
                Err(error) => last = error,
            }
        }
    });
    match opened.await {
        Ok(stream) => Ok(stream),
        Err(_) => Err(last),
    }
}

/// Resolves the name each time: it may not exist yet.
async fn attempt(origin: &Origin) -> io::Result<TcpStream> {
    let addresses: Vec<_> = tokio::net::lookup_host((origin.host(), origin.port())).await?.collect();
    timeout(ATTEMPT, TcpStream::connect(&addresses[..])).await?
}
