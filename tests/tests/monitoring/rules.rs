//! The rules under promtool, without anything that runs.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    monitoring::{GLOBAL_RULES, RULES, groups, rules},
    patience::SOON,
    programs::checkout,
    prometheus::promtool,
    trials::alone,
};

/// The tests that promtool runs.
const TESTS: [&str; 2] = ["alerts.yaml", "recording.yaml"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone("promtool finds nothing wrong with the rules", SOON, checked),
        alone("every alert fires when it should and not otherwise", 2 * SOON, tested),
        alone("every alert has a test in which it fires, and times at which it does not", SOON, complete),
    ]
}

/// A folder with the rules as Prometheus itself reads them, and the tests.
fn folder() -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let names = ["recording-rules.json", "alerts.json", "global.json"];
    for (manifest, name) in RULES.into_iter().chain([GLOBAL_RULES]).zip(names) {
        fs::write(folder.path().join(name), json!({"groups": groups(manifest)?}).to_string())?;
    }
    for test in TESTS {
        fs::write(folder.path().join(test), fs::read_to_string(source(test))?)?;
    }
    Ok(folder)
}

fn source(test: &str) -> std::path::PathBuf {
    checkout().join("tests/tests/monitoring").join(test)
}

async fn checked() -> anyhow::Result<()> {
    let files = ["recording-rules.json", "alerts.json", "global.json"];
    let arguments = [&["check", "rules", "--lint=all", "--lint-fatal"], files.as_slice()].concat();
    println!("{}", promtool(folder()?.path(), &arguments, "")?);
    Ok(())
}

async fn tested() -> anyhow::Result<()> {
    println!("{}", promtool(folder()?.path(), &[&["test", "rules"], TESTS.as_slice()].concat(), "")?);
    Ok(())
}

async fn complete() -> anyhow::Result<()> {
    let tests: Value = serde_saphyr::from_str(&fs::read_to_string(source("alerts.yaml"))?)?;
    let (mut fires, mut rests) = (BTreeSet::new(), BTreeSet::new());
    for group in tests["tests"].as_array().context("groups of tests")? {
        let name = group["name"].as_str().context("a group is named for its alert")?;
        for test in group["promql_expr_test"].as_array().context("expressions")? {
            let expression = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}");
            ensure!(test["expr"] == expression.as_str(), "{name} asks for {}", test["expr"]);
            let expected = test["exp_samples"].as_array().context("samples")?;
            if expected.is_empty() { &mut rests } else { &mut fires }.insert(name.to_owned());
        }
    }
    let alerts = rules("alerts.yaml")?;
    let alerts: BTreeSet<String> =
        alerts.iter().filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect();
    ensure!(fires == alerts, "alerts that fire in a test: {fires:?}, alerts: {alerts:?}");
    ensure!(rests == alerts, "alerts that do not fire in a test: {rests:?}, alerts: {alerts:?}");
    Ok(())
}
