//! The control plane's program.

use std::process::ExitCode;

use clap::Parser;
use control_plane::{
    adapters::logs,
    runtime::{self, Options},
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    logs::start(&options.logs);
    match runtime::run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the control plane cannot go on");
            ExitCode::FAILURE
        }
    }
}
