//! Connections that are kept, each of which asks as soon as it is answered.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tests::webhook::Caller;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::client::TlsStream;

/// Connections to one server.
pub(crate) struct Driver {
    idle: Vec<TlsStream<TcpStream>>,
}

/// What a turn came to.
pub(crate) struct Turn {
    pub(crate) lasted: Duration,
    pub(crate) latencies: Vec<Duration>,
}

impl Driver {
    pub(crate) async fn connect(caller: &Caller, connections: usize) -> anyhow::Result<Self> {
        let mut idle = Vec::new();
        for _ in 0..connections {
            idle.push(caller.connect_tls().await?);
        }
        Ok(Self { idle })
    }

    /// Sends `request` at least `count` times on all connections together.
    pub(crate) async fn send(&mut self, request: &'static [u8], count: usize) -> anyhow::Result<Turn> {
        let each = count.div_ceil(self.idle.len());
        let (mut busy, start) = (JoinSet::new(), Instant::now());
        for connection in self.idle.drain(..) {
            busy.spawn(ask(connection, request, each));
        }
        let mut latencies = Vec::new();
        while let Some(done) = busy.join_next().await {
            let (connection, mut found) = done??;
            self.idle.push(connection);
            latencies.append(&mut found);
        }
        Ok(Turn { lasted: start.elapsed(), latencies })
    }
}

async fn ask(
    mut connection: TlsStream<TcpStream>,
    request: &'static [u8],
    count: usize,
) -> anyhow::Result<(TlsStream<TcpStream>, Vec<Duration>)> {
    let (mut latencies, mut buffer) = (Vec::with_capacity(count), vec![0; 64 << 10]);
    for _ in 0..count {
        let start = Instant::now();
        connection.write_all(request).await?;
        connection.flush().await?;
        let mut read = 0;
        while !is_whole(&buffer[..read])? {
            let more = connection.read(&mut buffer[read..]).await?;
            ensure!(more > 0, "the server has closed a connection");
            read += more;
        }
        latencies.push(start.elapsed());
    }
    Ok((connection, latencies))
}

/// Whether an answer is there as a whole, which must be a good one.
fn is_whole(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&answer[..end])?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer has a length")?.parse()?;
    Ok(answer.len() >= end + 4 + length)
}
