//! The program itself: whatever it is doing, SIGTERM ends it at once with 0, and nothing else ends it.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use proto::names::PLAN_ENV;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::{
    app::{App, Reply},
    control_plane::{Authority, ControlPlane},
    setting::{Setting, plan},
};

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Process {
    fn start(setting: &Setting) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kube-booster-sidecar"))
            .env_clear()
            .envs(&setting.variables)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until the program says `text`; gives that line.
    async fn says(&mut self, text: &str) -> String {
        let mut said = Vec::new();
        let line = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.contains(text) {
                    return line;
                }
                said.push(line);
            }
            panic!("the program ended without {text:?}");
        };
        let line = timeout(Duration::from_secs(10), line).await;
        line.unwrap_or_else(|_| panic!("no {text:?} among {said:#?}"))
    }

    async fn ends_at_once_by(mut self, signal: Signal) {
        assert_eq!(self.child.try_wait().unwrap(), None, "it has ended by itself");
        let start = Instant::now();
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
        let status = timeout(Duration::from_secs(5), self.child.wait()).await.expect("it ends").unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn it_ends_while_it_waits_for_the_app() {
    let control_plane = ControlPlane::start().await;
    let setting = Setting::new(&plan(1, 2, 20), &control_plane);
    let mut process = Process::start(&setting);
    process.says("waiting for the app").await;
    process.ends_at_once_by(Signal::SIGTERM).await;
}

#[tokio::test]
async fn it_ends_while_it_sends() {
    let control_plane = ControlPlane::start().await;
    let app = App::start(|_| Reply::Silent).await;
    let setting = Setting::new(&plan(app.port, 2, 20_000), &control_plane);
    let mut process = Process::start(&setting);
    process.says("sending 2 requests").await;
    process.ends_at_once_by(Signal::SIGINT).await;
}

#[tokio::test]
async fn it_ends_while_it_connects_to_a_mute_control_plane() {
    let app = App::start(|_| Reply::Status(200)).await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let setting = Setting::at(&plan(app.port, 2, 20), &address, &Authority::new().pem);
    let mut process = Process::start(&setting);
    process.says("2/2 requests succeeded").await;
    process.ends_at_once_by(Signal::SIGTERM).await;
}

#[tokio::test]
async fn it_ends_while_it_is_parked() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    let setting = Setting::new(&plan(app.port, 2, 20), &control_plane);
    let mut process = Process::start(&setting);
    process.says("report recorded; parked").await;
    process.ends_at_once_by(Signal::SIGTERM).await;
    assert_eq!(control_plane.report().request_count, 2);
}

#[tokio::test]
async fn a_signal_right_after_its_first_line_ends_it() {
    let control_plane = ControlPlane::start().await;
    let setting = Setting::new(&plan(1, 2, 20), &control_plane);
    for _ in 0..5 {
        let mut process = Process::start(&setting);
        process.says("kube-booster").await;
        process.ends_at_once_by(Signal::SIGTERM).await;
    }
}

#[tokio::test]
async fn a_missing_variable_is_named_and_parks() {
    let control_plane = ControlPlane::start().await;
    for variable in ["KUBE_BOOSTER_REPORT_ADDRESS", "KUBE_BOOSTER_REPORT_CA", PLAN_ENV] {
        let mut setting = Setting::new(&plan(1, 2, 20), &control_plane);
        setting.variables.remove(variable);
        let mut process = Process::start(&setting);
        let line = process.says("is not set").await;
        assert!(line.contains(variable), "{line}");
        process.ends_at_once_by(Signal::SIGTERM).await;
    }
}
