//! What the sidecar is made of: each crate more is in every warmed pod.

use std::process::Command;

use tests::programs::checkout;

/// Crates that a feature of another would bring in unseen, and what they cost.
const KEPT_OUT: [(&str, &str); 9] = [
    ("aws-lc-rs", "0.8 MB more than ring, and 30 ms of processor time for the first TLS"),
    ("aws-lc-sys", "as aws-lc-rs"),
    ("mimalloc", "6 MB resident"),
    ("libmimalloc-sys", "as mimalloc"),
    ("tikv-jemallocator", "resident memory"),
    ("native-tls", "a second TLS stack"),
    ("openssl", "a second TLS stack"),
    ("clap", "the sidecar takes no arguments"),
    ("regex", "0.5 MB"),
];

/// Names of the crates that are linked into `package`, itself included.
fn linked_into(package: &str, targets: &[&str]) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(checkout()).args(["tree", "--offline", "--locked", "--edges=normal", "--prefix=none"]);
    let output = cargo.args(["--package", package]).args(targets).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("text");
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_sidecar_has_one_tls_stack_and_the_systems_allocator() {
    let crates = linked_into("sidecar", &["--target=all"]);
    assert!(crates.contains(&"rustls".to_owned()) && crates.contains(&"ring".to_owned()), "{crates:?}");
    for (name, cost) in KEPT_OUT {
        assert!(!crates.contains(&name.to_owned()), "the sidecar links {name}: {cost}");
    }
}

#[test]
fn the_waiting_program_is_made_of_nothing() {
    assert_eq!(linked_into("park", &[]), ["park"]);
}
