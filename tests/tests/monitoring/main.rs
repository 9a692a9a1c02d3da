//! What `manifests/monitoring` holds, on the real parts: promtool, Prometheus, an API server and our control plane.

mod dashboards;
mod exposition;
mod manifests;
mod misfortunes;
mod picture;
mod rules;
mod stage;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let trials = [rules::trials(), manifests::trials(), dashboards::trials()];
    libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect()).exit_code()
}
