//! The binary of the sidecar's image.

use std::process::ExitCode;

use sidecar::{
    adapters::park,
    run::{self, Ended},
    signals::Signals,
};

fn main() -> ExitCode {
    let signals = Signals::block();
    park::on_panic(signals);
    match run::run(&|name| std::env::var(name).ok(), signals) {
        Ended::BySignal => {}
        Ended::Idle => park::until_signal(signals),
    }
    ExitCode::SUCCESS
}
