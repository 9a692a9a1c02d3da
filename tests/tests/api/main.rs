//! The control plane and the sidecar against a real API server, without a node.
//!
//! Most tests share one API server and one control plane, each in a namespace of its own; those that stop or configure
//! the control plane have a pair of their own.

mod admission;
mod callers;
mod certificates;
mod fallback;
mod fence;
mod flags;
mod gates;
mod holding;
mod hostile;
mod injection;
mod leader;
mod manifests;
mod overload;
mod people;
mod pod_fence;
mod recovery;
mod rights;
mod scan;
mod sidecars;
mod templates;
mod tokens;
mod watch;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};
use tests::control_plane::World;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_args();
    if arguments.list {
        // Nothing is started for a list.
        let all = trials(None).into_iter().chain(undisturbed()).collect();
        return Ok(libtest_mimic::run(&arguments, all).exit_code());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let world = Arc::new(runtime.block_on(World::start(&[fallback::FALLBACK_FLAG]))?);
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&world)));
    if conclusion.has_failed() {
        eprintln!("the control plane's log:\n{}", world.log());
    }
    drop(world);
    let one_by_one = Arguments { test_threads: Some(1), ..arguments };
    let undisturbed = libtest_mimic::run(&one_by_one, undisturbed());
    Ok(if conclusion.has_failed() { conclusion.exit_code() } else { undisturbed.exit_code() })
}

/// Tests that take all that the machine has, or promise a time: after the others, one by one.
fn undisturbed() -> Vec<Trial> {
    [certificates::undisturbed(), hostile::trials(), overload::trials()].into_iter().flatten().collect()
}

/// All tests; without a world, those that need it are ignored.
fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    let shared = [
        admission::trials(world),
        fallback::trials(world),
        fence::trials(world),
        gates::trials(world),
        holding::trials(world),
        injection::trials(world),
        people::trials(world),
        pod_fence::trials(world),
        rights::trials(world),
        sidecars::trials(world),
        templates::trials(world),
        tokens::trials(world),
        watch::trials(world),
    ];
    let alone = [
        callers::trials(),
        certificates::trials(),
        fallback::trials_alone(),
        flags::trials(),
        leader::trials(),
        manifests::trials(),
        recovery::trials(),
        scan::trials(),
        tokens::trials_alone(),
        watch::trials_alone(),
    ];
    shared.into_iter().chain(alone).flatten().collect()
}
