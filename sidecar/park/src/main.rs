//! What the sidecar becomes after its report: it waits for SIGTERM or SIGINT and exits 0, whatever else comes.
//!
//! A parked sidecar stays for the whole life of its pod, so this program is all that it costs: one page of instructions
//! and its stack, without allocator, C library or standard library.

#![cfg_attr(alone, no_main)]
// Where panics unwind, as in debug builds, only the standard library can say how; nothing of it is called.
#![cfg_attr(all(alone, panic = "abort"), no_std)]

#[cfg(alone)]
mod alone;

/// The same on processors that [`alone`] has no instructions for, at the price of a standard library.
#[cfg(not(alone))]
fn main() {
    use nix::sys::signal::{SigSet, Signal};

    let ending: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    _ = ending.thread_block();
    while ending.wait().is_err() {
        std::thread::park();
    }
}
