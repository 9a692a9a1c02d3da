//! The sidecar as it ships: how precisely it sends, what it notices, what it costs, how soon it starts.
//!
//! `make bench BENCH=sidecar` measures, beside other load generators where these are given; under `cargo test` a run of
//! seconds shows that all parts still work.

mod app;
mod cost;
mod desk;
#[path = "../scale/figures.rs"]
mod figures;
mod generators;
mod goals;
#[path = "../scale/latencies.rs"]
mod latencies;
mod precision;
mod recorder;
mod results;
mod sidecar;
mod sizes;
mod stall;
mod start;
#[path = "../scale/table.rs"]
mod table;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::ensure;
use clap::Parser;
use libtest_mimic::Failed;
use tests::programs::{checkout, own};

use self::{desk::Desk, figures::Figures, generators::Generators, sizes::Sizes};

/// Measures the sidecar.
#[derive(Debug, Parser)]
struct Options {
    /// Given by cargo
    #[arg(long)]
    bench: bool,
    /// The sidecar's program, with the waiting program beside it
    #[arg(long, value_name = "PATH")]
    sidecar: PathBuf,
    /// The sidecar's image
    #[arg(long, value_name = "PATH")]
    image: PathBuf,
    /// The program of vegeta
    #[arg(long, value_name = "PATH")]
    vegeta: PathBuf,
    /// The program of oha, where it could be had
    #[arg(long, value_name = "PATH")]
    oha: Option<PathBuf>,
}

/// Everything that a part of the benchmark needs.
struct Bench {
    sizes: Sizes,
    figures: Figures,
    generators: Generators,
    desk: Desk,
}

fn main() -> anyhow::Result<ExitCode> {
    let first = std::env::args().nth(1).unwrap_or_default();
    if first == app::SERVE {
        return recorder::serve().map(|()| ExitCode::SUCCESS);
    }
    if std::env::args().any(|argument| argument == "--bench") {
        return measure(Options::parse());
    }
    let trial = libtest_mimic::Trial::test("the sidecar's benchmark runs through in seconds", smoke);
    Ok(libtest_mimic::run(&libtest_mimic::Arguments::from_args(), vec![trial]).exit_code())
}

fn measure(options: Options) -> anyhow::Result<ExitCode> {
    let image = options.image;
    let generators = Generators { sidecar: options.sidecar, vegeta: Some(options.vegeta), oha: options.oha };
    let mut figures = tokio::runtime::Runtime::new()?.block_on(run(Sizes::full(), generators))?;
    figures.set("image_bytes", cost::size(&image)?);
    let folder = checkout().join("target/bench");
    fs::create_dir_all(&folder)?;
    figures.write(&folder.join("sidecar.json"))?;
    let tables = results::tables(&figures, &Sizes::full());
    fs::write(folder.join("sidecar.md"), &tables)?;
    print!("\n{tables}");
    Ok(ExitCode::SUCCESS)
}

fn smoke() -> Result<(), Failed> {
    let bounded = async {
        own("kube-booster-park")?;
        let generators = Generators { sidecar: own("kube-booster-sidecar")?, vegeta: None, oha: None };
        tokio::time::timeout(Duration::from_mins(2), run(Sizes::smoke(), generators)).await?
    };
    let is_whole = |figures: Figures| {
        let [rate, ..] = Sizes::smoke().rates[..] else { return Ok(String::new()) };
        for name in [
            format!("schedule_error_p50_seconds_{rate}"),
            "stall_p99_seconds".to_owned(),
            "peak_rss_bytes".to_owned(),
            "cpu_per_1000_requests_seconds".to_owned(),
            "first_probe_p50_seconds".to_owned(),
            "good_answer_to_request_p99_seconds".to_owned(),
        ] {
            ensure!(figures.get(&name).is_finite(), "{name} was not measured");
        }
        // What no busy machine changes.
        ensure!(figures.get("threads") < 1.5, "{} threads", figures.get("threads"));
        // A debug build of the waiting program has a standard library in its file.
        ensure!(
            figures.get("parked_rss_bytes") <= 2.0 * goals::PARKED,
            "parked in {}",
            figures.text("parked_rss_bytes")
        );
        Ok(results::tables(&figures, &Sizes::smoke()))
    };
    let tables = tokio::runtime::Runtime::new()?.block_on(bounded).and_then(is_whole);
    tables.map(drop).map_err(|error| Failed::from(format!("{error:#}")))
}

async fn run(sizes: Sizes, generators: Generators) -> anyhow::Result<Figures> {
    let desk = Desk::open().await?;
    let mut bench = Bench { sizes, figures: Figures::default(), generators, desk };
    precision::measure(&mut bench).await?;
    stall::measure(&mut bench).await?;
    cost::measure(&mut bench).await?;
    start::measure(&mut bench).await?;
    Ok(bench.figures)
}
