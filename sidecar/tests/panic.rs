//! A panic parks. The program runs itself as a child that panics, and ends that by SIGTERM.

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sidecar::{adapters::park, signals::Signals};

const CHILD: &str = "as-child";

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().any(|argument| argument == CHILD) {
        park::on_panic(Signals::block());
        unreachable!("for the test");
    }
    a_panic_parks_and_ends_by_sigterm()?;
    println!("test a_panic_parks_and_ends_by_sigterm ... ok");
    Ok(())
}

fn a_panic_parks_and_ends_by_sigterm() -> Result<(), Box<dyn Error>> {
    let mut child = Command::new(env::current_exe()?).arg(CHILD).stderr(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().ok_or("no standard error")?).read_line(&mut line)?;
    assert!(line.starts_with("kube-booster: a bug, please report it:"), "{line}");
    assert_eq!(child.try_wait()?, None, "it ended");
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGTERM)?;
    assert_eq!(child.wait()?.code(), Some(0));
    Ok(())
}
