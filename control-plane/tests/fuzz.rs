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
fn reviews_are_refused_or_allowed_with_a_patch_that_applies_once() {
    replay("review", fuzz::review);
}

#[test]
fn annotations_are_taken_or_refused_with_short_warnings() {
    replay("annotations", fuzz::annotations);
}
