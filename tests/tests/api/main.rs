//! The control plane and the sidecar against a real API server, without a node.
//!
//! Most tests share one API server and one control plane, each in a namespace of its own; those that stop or configure
//! the control plane have a pair of their own.

mod admission;
mod fence;
mod flags;
mod gates;
mod injection;
mod people;
mod recovery;
mod sidecars;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};
use tests::control_plane::World;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_args();
    if arguments.list {
        // Nothing is started for a list.
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let world = Arc::new(runtime.block_on(World::start(&[]))?);
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&world)));
    if conclusion.has_failed() {
        eprintln!("the control plane's log:\n{}", world.log());
    }
    drop(world);
    Ok(conclusion.exit_code())
}

/// All tests; without a world, those that need it are ignored.
fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    let shared = [
        admission::trials(world),
        fence::trials(world),
        gates::trials(world),
        injection::trials(world),
        people::trials(world),
        sidecars::trials(world),
    ];
    let alone = [flags::trials(), recovery::trials()];
    shared.into_iter().chain(alone).flatten().collect()
}
