//! The app that is warmed: a process of its own, which can be stopped, and says in the end what it noted.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// The argument with which the benchmark runs itself as the app; the milliseconds follow that it takes to be ready.
pub(crate) const SERVE: &str = "serve";
/// What is asked to see whether it is ready.
pub(crate) const PROBED: &str = "/up";
/// Long enough for any machine.
const END: Duration = Duration::from_secs(20);

/// A running app; it is killed when this is dropped.
pub(crate) struct App {
    pub(crate) port: u16,
    process: Child,
    output: BufReader<ChildStdout>,
}

/// What the app noted: nanoseconds of the machine's clock.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Connections.
    pub(crate) accepted: Vec<u64>,
    /// Requests other than its probe's, in order.
    pub(crate) requests: Vec<u64>,
    /// From then on it would have answered well.
    pub(crate) ready: Option<u64>,
    /// The first good answer to its probe.
    pub(crate) answered: Option<u64>,
}

impl App {
    /// Starts an app that is ready `after` it is probed for the first time.
    pub(crate) async fn start(after: Duration) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([SERVE, &after.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut output = BufReader::new(process.stdout.take().context("its output is ours")?);
        let mut line = String::new();
        timeout(END, output.read_line(&mut line)).await??;
        Ok(Self { port: line.trim().parse().context("it says its port")?, process, output })
    }

    /// Sends it `signal`: SIGSTOP and SIGCONT halt it as a busy processor would.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.process.id().context("the app runs")?;
        Ok(kill(Pid::from_raw(id.try_into()?), signal)?)
    }

    /// Ends it and hears what it noted.
    pub(crate) async fn finish(mut self) -> anyhow::Result<Notes> {
        drop(self.process.stdin.take());
        let mut text = String::new();
        timeout(END, self.output.read_to_string(&mut text)).await??;
        ensure!(timeout(END, self.process.wait()).await??.success(), "the app failed");
        let mut notes = Notes::default();
        for line in text.lines() {
            let (what, time) = line.split_once(' ').context("a note has a time")?;
            notes.add(what, time.parse()?)?;
        }
        notes.requests.sort_unstable();
        Ok(notes)
    }
}

impl Notes {
    fn add(&mut self, what: &str, time: u64) -> anyhow::Result<()> {
        match what {
            "accepted" => self.accepted.push(time),
            "request" => self.requests.push(time),
            "ready" => self.ready = Some(time),
            "answered" => self.answered = Some(time),
            _ => anyhow::bail!("unknown note {what:?}"),
        }
        Ok(())
    }
}
