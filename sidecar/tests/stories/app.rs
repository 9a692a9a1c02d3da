//! An app that speaks as much HTTP as a test needs, and misbehaves as asked.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

/// What the app does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// Answers with this status.
    Status(u16),
    /// The same, this long after the request.
    After(Duration, u16),
    /// Answers 200 once so many requests have been in flight together.
    Together(usize),
    /// Answers with this status and wants to be left alone for so many seconds.
    Busy(u16, u64),
    /// The same, by the date at which that is over.
    BusyUntil(u16, Duration),
    /// Answers 200, says nothing of it, and closes.
    ThenClose,
    /// Answers 200, says that it closes, and does.
    AnnounceClose,
    /// Closes without an answer.
    Close,
    /// Answers 200 with a body that has no end.
    Endless,
    /// Says nothing.
    Silent,
    /// Says something that is not HTTP.
    Garbage,
}

/// What the app saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Heads of all requests, with the time of each.
    pub(crate) requests: Vec<(Instant, String)>,
    pub(crate) connections: u32,
    /// Connections that the sidecar closed while an endless body was being sent.
    pub(crate) cut: u32,
    in_flight: usize,
    pub(crate) most_in_flight: usize,
}

/// A running app.
pub(crate) struct App {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl App {
    /// Answers the i-th request, from 0, with `reply(i)`.
    pub(crate) async fn start(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), reply)
    }

    pub(crate) fn on(listener: TcpListener, reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Seen>>::default();
        let task = tokio::spawn(serve(listener, seen.clone(), Arc::new(reply)));
        Self { port, seen, task }
    }

    /// The paths that were asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        let path = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.seen.lock().unwrap().requests.iter().map(|(_, head)| path(head)).collect()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Replies = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

async fn serve(listener: TcpListener, seen: Arc<Mutex<Seen>>, reply: Replies) {
    // Aborts them all when the app ends.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        seen.lock().unwrap().connections += 1;
        connections.spawn(converse(stream, seen.clone(), reply.clone()));
    }
}

async fn converse(mut stream: TcpStream, seen: Arc<Mutex<Seen>>, reply: Replies) -> io::Result<()> {
    while let Some(head) = read_head(&mut stream).await? {
        let index = {
            let mut seen = seen.lock().unwrap();
            seen.requests.push((Instant::now(), head));
            seen.in_flight += 1;
            seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
            seen.requests.len() - 1
        };
        let goes_on = answer(&mut stream, reply(index), &seen).await;
        seen.lock().unwrap().in_flight -= 1;
        if !goes_on? {
            break;
        }
    }
    Ok(())
}

/// Whether the connection goes on.
async fn answer(stream: &mut TcpStream, reply: Reply, seen: &Mutex<Seen>) -> io::Result<bool> {
    let status = match reply {
        Reply::Status(status) | Reply::Busy(status, _) | Reply::BusyUntil(status, _) => status,
        Reply::After(delay, status) => {
            sleep(delay).await;
            status
        }
        Reply::Together(count) => {
            while seen.lock().unwrap().most_in_flight < count {
                sleep(Duration::from_millis(5)).await;
            }
            200
        }
        Reply::ThenClose => 200,
        Reply::AnnounceClose => {
            stream.write_all(b"HTTP/1.1 200 x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await?;
            return Ok(false);
        }
        Reply::Close => return Ok(false),
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 x\r\nContent-Length: 999999999\r\n\r\n").await?;
            while stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
            seen.lock().unwrap().cut += 1;
            return Ok(false);
        }
        Reply::Silent => std::future::pending().await,
        Reply::Garbage => {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await?;
            return Ok(false);
        }
    };
    let header = match reply {
        Reply::Busy(_, seconds) => format!("Retry-After: {seconds}\r\n"),
        Reply::BusyUntil(_, pause) => {
            format!("Retry-After: {}\r\n", httpdate::fmt_http_date(SystemTime::now() + pause))
        }
        _ if status == 302 => "Location: http://127.0.0.1/elsewhere\r\n".to_owned(),
        _ => String::new(),
    };
    let text = format!("HTTP/1.1 {status} x\r\n{header}Content-Length: 2\r\n\r\nok");
    stream.write_all(text.as_bytes()).await?;
    Ok(!matches!(reply, Reply::ThenClose))
}

/// A request's head; the tests' requests have no body.
async fn read_head(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}
