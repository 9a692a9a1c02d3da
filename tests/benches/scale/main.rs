//! The control plane under load: simulated nodes, thousands of waiting pods, and sidecars that report.
//!
//! `make bench BENCH=scale` measures; under `cargo test` a run with few pods shows that all parts still work.

mod admission;
mod bench;
mod creation;
mod goals;
mod kwok;
mod memory;
mod reports;
mod restart;
mod results;
mod sidecar;
mod sizes;
mod storm;
mod webhook;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::ensure;
use clap::Parser;
use libtest_mimic::Failed;
use tests::{
    measure::{figures, latencies, table},
    programs::checkout,
};

use self::{bench::Bench, figures::Figures, sizes::Sizes};

/// Measures the control plane.
#[derive(Debug, Parser)]
struct Options {
    /// Given by cargo
    #[arg(long)]
    bench: bool,
    /// The program of kwok
    #[arg(long, value_name = "PATH")]
    kwok: PathBuf,
    /// Waiting pods in the end
    #[arg(long, default_value_t = 10_000)]
    pods: usize,
}

fn main() -> anyhow::Result<ExitCode> {
    if std::env::args().any(|argument| argument == "--bench") {
        return measure(Options::parse());
    }
    let trial = libtest_mimic::Trial::test("the scale benchmark runs through with few pods", smoke);
    Ok(libtest_mimic::run(&libtest_mimic::Arguments::from_args(), vec![trial]).exit_code())
}

fn measure(options: Options) -> anyhow::Result<ExitCode> {
    let sizes = Sizes::full(options.pods);
    let figures = tokio::runtime::Runtime::new()?.block_on(run(sizes, Some(options.kwok)))?;
    let folder = checkout().join("target/bench");
    fs::create_dir_all(&folder)?;
    figures.write(&folder.join("scale.json"))?;
    let tables = results::tables(&figures, sizes.pods);
    fs::write(folder.join("scale.md"), &tables)?;
    print!("\n{tables}");
    Ok(ExitCode::SUCCESS)
}

fn smoke() -> Result<(), Failed> {
    let bounded = async { tokio::time::timeout(Duration::from_mins(2), run(Sizes::smoke(), None)).await? };
    let is_whole = |figures: Figures| {
        for name in ["storm_lost", "rolling_restart_missed"] {
            ensure!(figures.get(name).abs() < 0.5, "{name} is {}", figures.get(name));
        }
        for name in
            ["webhook_added_p50_seconds", "report_to_true_p99_seconds", "rss_20_bytes", "storm_cpu_seconds"]
        {
            ensure!(figures.get(name).is_finite(), "{name} was not measured");
        }
        Ok(results::tables(&figures, Sizes::smoke().pods))
    };
    let tables = tokio::runtime::Runtime::new()?.block_on(bounded).and_then(is_whole);
    tables.map(drop).map_err(|error| Failed::from(format!("{error:#}")))
}

async fn run(sizes: Sizes, kwok: Option<PathBuf>) -> anyhow::Result<Figures> {
    let mut bench = Bench::start(sizes, kwok).await?;
    memory::measure(&mut bench).await?;
    for level in 0..sizes.pods.len() {
        admission::measure(&mut bench, level).await?;
        bench.say("the nodes run the pods");
        bench.start_kubelets().await?;
        memory::measure(&mut bench).await?;
        let tokens = bench.make_tokens().await?;
        bench.say(&format!("the pods have tokens after {tokens:.1?}"));
        reports::measure(&mut bench).await?;
        memory::after_restart(&mut bench).await?;
        if level + 1 < sizes.pods.len() {
            bench.stop_kubelets();
        }
    }
    storm::measure(&mut bench).await?;
    restart::measure(&mut bench).await?;
    bench.say("done");
    let mut figures = bench.figures.clone();
    results::derive(&mut figures, sizes.pods);
    Ok(figures)
}
