//! The rest of the pod's life: nothing to do until the pod ends.

use std::{
    convert::Infallible,
    env,
    ffi::{CStr, CString},
    io, panic, process,
};

use nix::unistd::execve;

use crate::{log::log, signals::Signals};

/// The waiting program, which lies beside ours: some pages instead of some hundreds.
const PROGRAM: &str = "kube-booster-park";

/// Waits for the pod's end. Returns, at that end, only where this process could not become the waiting program.
pub fn until_signal(signals: Signals) {
    let Err(error) = hand_over();
    log!("waiting in this process, not in {PROGRAM}: {error}");
    signals.wait();
}

/// Becomes the waiting program. The signals stay blocked: one that comes meanwhile is pending for it.
fn hand_over() -> io::Result<Infallible> {
    let program = env::current_exe()?.with_file_name(PROGRAM);
    let program = CString::new(program.into_os_string().into_encoded_bytes())?;
    Ok(execve::<_, &CStr>(&program, &[&program], &[])?)
}

/// From now on a panic parks too: the container must not exit, whatever happens.
pub fn on_panic(signals: Signals) {
    panic::set_hook(Box::new(move |panic| {
        log!("a bug, please report it: {panic}");
        until_signal(signals);
        process::exit(0);
    }));
}
