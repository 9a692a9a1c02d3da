//! Tests that share what took long to start: named by a sentence, each with a runtime and a time limit of its own.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use libtest_mimic::{Failed, Trial};

/// A test on `shared`, which must end `within` this time; ignored where there is nothing to share.
pub fn trial<S, F>(
    name: &str,
    within: Duration,
    shared: Option<&Arc<S>>,
    test: impl FnOnce(Arc<S>) -> F + Send + 'static,
) -> Trial
where
    S: Send + Sync + 'static,
    F: Future<Output = anyhow::Result<()>>,
{
    let Some(shared) = shared.map(Arc::clone) else {
        return Trial::test(name, || Ok(())).with_ignored_flag(true);
    };
    Trial::test(name, move || run(within, test(shared)))
}

/// A test that starts what it needs by itself.
pub fn alone<F>(name: &str, within: Duration, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    Trial::test(name, move || run(within, test()))
}

fn run(within: Duration, test: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bounded = async { tokio::time::timeout(within, test).await.context("the test takes too long")? };
    runtime.block_on(bounded).map_err(|error| Failed::from(format!("{error:#}")))
}
