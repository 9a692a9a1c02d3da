//! The app's own process: it answers, and notes when.

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::LocalSet,
};

use super::app::PROBED;

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const UNREADY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// Serves until standard input ends, then prints its notes.
pub(crate) fn serve() -> anyhow::Result<()> {
    let after: u64 = std::env::args().nth(2).context("how long until it is ready")?.parse()?;
    let recorder = Rc::new(Recorder { after: after * 1_000_000, ..Recorder::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        _ = io::copy(&mut io::stdin(), &mut io::sink());
        _ = ended.send(());
    });
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        tokio::select! {
            _ = end => Ok(()),
            accepted = Rc::clone(&recorder).accept(listener) => accepted,
        }
    })?;
    let mut out = io::BufWriter::new(io::stdout());
    for (what, time) in recorder.notes.borrow().iter() {
        writeln!(out, "{what} {time}")?;
    }
    Ok(out.flush()?)
}

#[derive(Debug, Default)]
struct Recorder {
    /// Nanoseconds from the first probe until it is ready.
    after: u64,
    ready: RefCell<Option<u64>>,
    is_answered: RefCell<bool>,
    notes: RefCell<Vec<(&'static str, u64)>>,
}

impl Recorder {
    async fn accept(self: Rc<Self>, listener: TcpListener) -> anyhow::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            self.note("accepted", now());
            // Whoever breaks off is noted no more.
            tokio::task::spawn_local(Rc::clone(&self).converse(stream));
        }
    }

    async fn converse(self: Rc<Self>, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut chunk, mut unread) = ([0; 4_096], Vec::new());
        loop {
            let length = stream.read(&mut chunk).await?;
            let time = now();
            if length == 0 {
                return Ok(());
            }
            unread.extend_from_slice(&chunk[..length]);
            while let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head: Vec<u8> = unread.drain(..end + 4).collect();
                stream.write_all(self.answer(&head, time)).await?;
            }
        }
    }

    fn answer(&self, head: &[u8], time: u64) -> &'static [u8] {
        if !head.starts_with(format!("GET {PROBED} ").as_bytes()) {
            self.note("request", time);
            return GOOD;
        }
        let ready = *self.ready.borrow_mut().get_or_insert_with(|| {
            self.note("ready", time + self.after);
            time + self.after
        });
        if time < ready {
            return UNREADY;
        }
        if !self.is_answered.replace(true) {
            self.note("answered", now());
        }
        GOOD
    }

    fn note(&self, what: &'static str, time: u64) {
        self.notes.borrow_mut().push((what, time));
    }
}

/// Nanoseconds of the machine's clock, which all processes share.
pub(crate) fn now() -> u64 {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
