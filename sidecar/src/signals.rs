//! SIGTERM and SIGINT. They are blocked from the first line of the program on and then waited for, in a runtime or
//! without: none is lost, not even by PID 1, for which the kernel drops every signal that is neither blocked nor handled.

use std::{future::pending, io, thread};

use crate::{descriptor::watch, log::log};
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

/// The signals that end the sidecar.
#[derive(Debug, Clone, Copy)]
pub struct Signals {
    set: SigSet,
}

impl Signals {
    /// Blocks the signals in this thread, which must be the only one.
    #[must_use]
    pub fn block() -> Self {
        let set: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
        if let Err(error) = set.thread_block() {
            log!("signals cannot be blocked: {error}");
        }
        Self { set }
    }

    /// Waits for a signal within a runtime.
    pub async fn received(&self) {
        if let Err(error) = self.readable().await {
            log!("signals are not heard before parking: {error}");
            pending::<()>().await;
        }
    }

    async fn readable(&self) -> io::Result<()> {
        let descriptor = watch(SignalFd::with_flags(&self.set, SfdFlags::all())?)?;
        descriptor.readable().await.map(drop)
    }

    /// Waits for a signal without a runtime, also from within a panic.
    pub fn wait(&self) {
        while self.set.wait().is_err() {
            thread::park();
        }
    }
}
