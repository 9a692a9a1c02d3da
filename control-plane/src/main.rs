//! The control plane's program.

use clap::Parser;
use control_plane::{
    adapters::logs,
    runtime::{self, Options},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    logs::start(&options.logs);
    runtime::run(options).await
}
