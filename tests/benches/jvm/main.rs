//! What the first users of a pod see, unwarmed and warmed, on a real node with a real JVM.
//!
//! `make bench BENCH=jvm` measures; under `cargo test` made-up visits show that figures and pictures still work.

mod app;
mod goals;
mod picture;
mod results;
mod start;
mod throttling;
mod visits;

use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use libtest_mimic::Trial;
use tests::{cluster::Cluster, programs::checkout};

use self::{
    app::{Scene, Warmth},
    results::{Results, smoke},
    start::Stage,
};

/// Measures what warm-up buys.
#[derive(Debug, Parser)]
struct Options {
    /// Given by cargo
    #[arg(long)]
    bench: bool,
    /// Image archive of the Java app
    #[arg(long, value_name = "PATH")]
    java_image: PathBuf,
    /// Image archive of the Python app
    #[arg(long, value_name = "PATH")]
    python_image: PathBuf,
    /// Starts of each kind
    #[arg(long, default_value_t = 5)]
    starts: usize,
}

fn main() -> anyhow::Result<ExitCode> {
    if std::env::args().any(|argument| argument == "--bench") {
        return measure(&Options::parse());
    }
    let trial = Trial::test("the figures and the picture of the JVM benchmark follow from the visits", smoke);
    Ok(libtest_mimic::run(&libtest_mimic::Arguments::from_args(), vec![trial]).exit_code())
}

fn measure(options: &Options) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::start()?;
    cluster.deploy()?;
    cluster.load(&options.java_image)?;
    cluster.load(&options.python_image)?;
    let results = tokio::runtime::Runtime::new()?.block_on(run(&cluster, options.starts))?;
    let folder = checkout().join("target/bench");
    fs::create_dir_all(&folder)?;
    results.figures().write(&folder.join("jvm.json"))?;
    fs::write(folder.join("jvm.svg"), results.picture())?;
    let tables = results.tables();
    fs::write(folder.join("jvm.md"), &tables)?;
    print!("\n{tables}");
    Ok(ExitCode::SUCCESS)
}

/// All scenes; within one its kinds of warmth alternate, and another begins each round.
async fn run(cluster: &Cluster, starts: usize) -> anyhow::Result<Results> {
    let begin = Instant::now();
    let stage = Stage::set(cluster).await?;
    let mut results = Results::default();
    for scene in Scene::ALL {
        for round in 0..scene.starts(starts) {
            let kinds = scene.warmths();
            for kind in 0..kinds.len() {
                let warmth: Warmth = kinds[(round + kind) % kinds.len()];
                let start = stage.start(scene, warmth, round).await?;
                let seconds = begin.elapsed().as_secs();
                let told = format!("{} {}, start {}", scene.name(), warmth.name(), round + 1);
                eprintln!("{:3}:{:02}  {told}: {start}", seconds / 60, seconds % 60);
                results.add(scene, warmth, start);
            }
        }
    }
    Ok(results)
}
