//! The fuzzer's corpus, replayed.

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub)] // a crate of its own, there
mod fuzz;

use std::fs;

/// Holds each file of the corpus of `target` to `law`.
fn replay(target: &str, law: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = fs::read_dir(&folder).expect(&folder).flatten().collect();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.path().display());
        law(&fs::read(file.path()).expect("the corpus is readable"));
    }
}

#[test]
fn plans_are_refused_or_within_bounds() {
    replay("plan", fuzz::plan);
}

#[test]
fn records_are_refused_or_fit_into_an_annotation() {
    replay("record", fuzz::record);
}

#[test]
fn results_are_refused_or_make_records_that_fit() {
    replay("result", fuzz::result);
}
