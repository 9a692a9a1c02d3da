//! Where the programs are that the tests run.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, ensure};

/// The checkout.
#[must_use]
pub fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// One of Kubernetes' programs, or `grpcurl`; they are built on first use.
pub fn kubernetes(name: &str) -> anyhow::Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    let folder = folder.as_ref().map_err(|error| anyhow::anyhow!(error.clone()))?;
    Ok(folder.join(name))
}

fn find() -> anyhow::Result<PathBuf> {
    let script = checkout().join("hack/cluster.sh");
    let output = Command::new(script).arg("binaries").stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "hack/cluster.sh binaries failed");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// A program that Debian's `package` brings.
pub fn of_system(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file());
    found.with_context(|| format!("{name} is missing: install Debian's package {package}"))
}

/// One of our own programs, built beside this test.
pub fn own(name: &str) -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("a test knows where it is")?;
    let folder = test.parent().and_then(Path::parent).context("a test lies in deps/")?;
    let program = folder.join(name);
    ensure!(program.is_file(), "{} is not there; run `cargo build --workspace` first", program.display());
    Ok(program)
}
