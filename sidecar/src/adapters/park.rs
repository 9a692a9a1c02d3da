//! The rest of the pod's life: nothing to do until the pod ends.

use std::{panic, process};

use crate::{log::log, signals::Signals};

/// Waits for the pod's end.
pub fn until_signal(signals: Signals) {
    signals.wait();
}

/// From now on a panic parks too: the container must not exit, whatever happens.
pub fn on_panic(signals: Signals) {
    panic::set_hook(Box::new(move |panic| {
        log!("a bug, please report it: {panic}");
        until_signal(signals);
        process::exit(0);
    }));
}
