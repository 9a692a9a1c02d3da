//! Documents and manifests say what the code does.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use control_plane::{ground::annotations, runtime::Options};
use tests::programs::checkout;

fn read(path: &str) -> String {
    fs::read_to_string(checkout().join(path)).expect(path)
}

/// Key and default of each row of the README's table of annotations.
fn readme_annotations() -> BTreeMap<String, String> {
    let text = read("README.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix('|'));
    rows.filter_map(|row| {
        let (key, rest) = row.split_once("` |")?;
        let default = rest.rsplit('|').next()?.trim().trim_matches('`');
        (key.starts_with("warmup") || key.starts_with("sidecar-"))
            .then(|| (key.to_owned(), default.to_owned()))
    })
    .collect()
}

#[test]
fn the_readme_lists_every_annotation_with_its_default() {
    let known: BTreeMap<String, String> = annotations::ALL
        .iter()
        .map(|key| (key.name.trim_start_matches("kube-booster.io/").to_owned(), key.default.to_owned()))
        .collect();
    assert_eq!(readme_annotations(), known);
}

#[test]
fn the_deployment_uses_only_flags_that_the_control_plane_knows() {
    let command = Options::command();
    let known: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(|long| format!("--{long}"))
        .collect();
    let manifest = read("manifests/base/deployment.yaml");
    let used = manifest.split_whitespace().filter(|word| word.starts_with("--"));
    let used: Vec<&str> = used.map(|word| word.split_once('=').map_or(word, |(flag, _)| flag)).collect();
    assert!(!used.is_empty());
    for flag in used {
        assert!(known.iter().any(|name| name == flag), "{flag} is no flag of the control plane");
    }
}

#[test]
fn every_flag_is_in_the_documents() {
    let documents = read("docs/usage.md");
    for argument in Options::command().get_arguments() {
        let Some(long) = argument.get_long().filter(|long| !["help", "version"].contains(long)) else {
            continue;
        };
        assert!(documents.contains(&format!("--{long}")), "docs/usage.md does not explain --{long}");
    }
}

#[test]
fn every_door_of_the_makefile_is_in_its_help_and_in_the_documents() {
    let makefile = read("Makefile").replace("\\\n", " ");
    let (readme, usage) = (read("README.md"), read("docs/usage.md"));
    let doors =
        makefile.lines().filter_map(|line| line.strip_prefix(".PHONY:")).flat_map(str::split_whitespace);
    let doors: Vec<&str> = doors.collect();
    assert!(doors.contains(&"demo") && doors.contains(&"test"));
    for door in doors {
        let said = format!("make {door}");
        let is_said = |text: &str| {
            text.match_indices(&said).any(|(at, _)| {
                let next = text[at + said.len()..].chars().next();
                next.is_none_or(|next| !next.is_ascii_alphanumeric() && next != '-')
            })
        };
        assert!(is_said(&readme) || is_said(&usage), "{said} is nowhere explained");
        let helped = makefile.lines().any(|line| line.starts_with(&format!("{door}: ## ")));
        assert!(helped, "make help does not list {door}");
    }
}

/// Backticked names in the last column of the table rows of `document`.
fn tests_named_in(document: &str) -> Vec<String> {
    let text = read(document);
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.trim_end().strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let sources: String =
        rust_files(checkout()).iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    for document in ["docs/reliability.md", "docs/field.md"] {
        let named = tests_named_in(document);
        assert!(named.len() > 10, "{document} names {} tests", named.len());
        for test in named {
            let is_there =
                sources.contains(&format!("\"{test}\"")) || sources.contains(&format!("fn {test}("));
            assert!(is_there, "{document} names the test {test:?}, which nobody wrote");
        }
    }
}

pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the checkout").filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let is_ours = |path: &PathBuf| !path.ends_with("target") && !path.ends_with(".git");
    let below = folders.into_iter().filter(is_ours).flat_map(|folder| rust_files(&folder));
    files.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs")).chain(below).collect()
}
