//! The webhook alone: its router behind TLS on loopback, beside a handler that answers a constant.
//!
//! `make bench BENCH=webhook` measures; under `cargo test` a run with few requests shows that all parts still work.

mod burst;
mod driver;
mod reviews;
mod rounds;
mod server;
mod sizes;
mod slots;
mod tables;

use std::{fs, process::ExitCode, time::Duration};

use anyhow::ensure;
use libtest_mimic::Failed;
use tests::{measure::figures::Figures, programs::checkout};
use tokio::runtime::Runtime;

use self::{server::Serve, sizes::Sizes};

/// As the control plane has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<ExitCode> {
    if let Some(serve) = Serve::asked()? {
        Runtime::new()?.block_on(server::run(serve))?;
        return Ok(ExitCode::SUCCESS);
    }
    if std::env::args().any(|argument| argument == "--bench") {
        return measure();
    }
    let trial = libtest_mimic::Trial::test("the webhook benchmark runs through with few requests", smoke);
    Ok(libtest_mimic::run(&libtest_mimic::Arguments::from_args(), vec![trial]).exit_code())
}

fn measure() -> anyhow::Result<ExitCode> {
    let figures = Runtime::new()?.block_on(run(Sizes::full()))?;
    let folder = checkout().join("target/bench");
    fs::create_dir_all(&folder)?;
    figures.write(&folder.join("webhook.json"))?;
    let tables = tables::all(&figures);
    fs::write(folder.join("webhook.md"), &tables)?;
    print!("\n{tables}");
    Ok(ExitCode::SUCCESS)
}

fn smoke() -> Result<(), Failed> {
    let bounded = async { tokio::time::timeout(Duration::from_mins(2), run(Sizes::smoke())).await? };
    let is_whole = |figures: Figures| {
        for name in ["admission_8k_cpu_seconds", "tracker_overhead_ratio", "burst_kept_bytes"] {
            ensure!(figures.get(name).is_finite(), "{name} was not measured");
        }
        Ok(tables::all(&figures))
    };
    let tables = Runtime::new()?.block_on(bounded).and_then(is_whole);
    tables.map(drop).map_err(|error| Failed::from(format!("{error:#}")))
}

async fn run(sizes: Sizes) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    rounds::measure(&mut figures, sizes).await?;
    slots::measure(&mut figures, sizes).await?;
    burst::measure(&mut figures, sizes).await?;
    Ok(figures)
}
