//! The program itself: whatever it is doing, SIGTERM ends it at once with 0, and nothing else ends it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use proto::names::PLAN_ENV;
use tempfile::TempDir;
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

const PROGRAM: &str = env!("CARGO_BIN_EXE_kube-booster-sidecar");

/// The running program; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    _folder: Option<TempDir>,
}

impl Process {
    fn start(setting: &Setting) -> Self {
        Self::start_from(Path::new(PROGRAM), setting, None)
    }

    /// The same where no other program lies beside it, so that it parks as itself.
    pub(crate) fn start_alone(setting: &Setting) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let program = folder.path().join("kube-booster-sidecar");
        fs::hard_link(PROGRAM, &program).unwrap();
        Self::start_from(&program, setting, Some(folder))
    }

    /// The same beside a waiting program of this text.
    fn start_beside(script: &str, setting: &Setting) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let program = folder.path().join("kube-booster-sidecar");
        fs::hard_link(PROGRAM, &program).unwrap();
        let parked = folder.path().join("kube-booster-park");
        fs::write(&parked, script).unwrap();
        fs::set_permissions(&parked, fs::Permissions::from_mode(0o755)).unwrap();
        Self::start_from(&program, setting, Some(folder))
    }

    fn start_from(program: &Path, setting: &Setting, folder: Option<TempDir>) -> Self {
        let mut child = Command::new(program)
            .env_clear()
            .envs(&setting.variables)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines, _folder: folder }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits until the program says `text`; gives that line.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        self.all_until(text).await.pop().unwrap()
    }

    /// What the program says up to `text`.
    pub(crate) async fn all_until(&mut self, text: &str) -> Vec<String> {
        let mut said = Vec::new();
        let last = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                said.push(line);
                if said.last().is_some_and(|line| line.contains(text)) {
                    return;
                }
            }
            panic!("the program ended without {text:?}");
        };
        let in_time = timeout(Duration::from_secs(30), last).await;
        assert!(in_time.is_ok(), "no {text:?} among {said:#?}");
        said
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

#[tokio::test]
async fn it_ends_while_its_report_is_refused() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    control_plane.desk.lock().unwrap().refusals = [tonic::Code::Unavailable; 100].into();
    let setting = Setting::new(&plan(app.port, 2, 20), &control_plane);
    let mut process = Process::start(&setting);
    process.says("report not taken").await;
    process.ends_at_once_by(Signal::SIGTERM).await;
}

#[tokio::test]
async fn after_its_report_it_becomes_the_program_beside_it() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    let setting = Setting::new(&plan(app.port, 2, 20), &control_plane);
    let script = "#!/bin/sh\necho \"$$ waits; its plan is '$KUBE_BOOSTER_PLAN'\" >&2\nexec sleep 60\n";
    let mut process = Process::start_beside(script, &setting);
    process.says("report recorded; parked").await;
    // The same process, without what the sidecar was told.
    let line = process.says("waits").await;
    assert_eq!(line, format!("{} waits; its plan is ''", process.id()));
}

#[tokio::test]
async fn without_a_program_beside_it_that_runs_it_parks_as_itself() {
    let app = App::start(|_| Reply::Status(200)).await;
    let control_plane = ControlPlane::start().await;
    let setting = Setting::new(&plan(app.port, 2, 20), &control_plane);
    let processes = [Process::start_alone(&setting), Process::start_beside("no program", &setting)];
    for mut process in processes {
        process.says("waiting in this process").await;
        process.ends_at_once_by(Signal::SIGTERM).await;
    }
}
