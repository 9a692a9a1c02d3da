//! Each `NAME.pod.json` of `tests/golden` is decided as `NAME.patch.json` says, under the limits of
//! `NAME.namespace.json` where there is one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use control_plane::ground::{
    injection::Decision,
    limits::{Limits, NamespaceLimits},
};
use expect_test::expect_file;
use serde_json::{Value, json};

use super::{UID, check_laws, decision};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(file: &Path) -> Value {
    let text = fs::read_to_string(file).expect("a file that can be read");
    let read = serde_json::from_str(&text);
    assert!(read.is_ok(), "{}: {read:?}", file.display());
    read.unwrap_or_default()
}

fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("the folder of golden files");
    let names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> =
        names.filter_map(|name| Some(name.strip_suffix(".pod.json")?.to_owned())).collect();
    names.sort();
    names
}

/// The limits that the objects in `file` set, none without it.
fn limits(file: &Path) -> NamespaceLimits {
    let mut limits = Limits::default();
    let objects = if file.is_file() { read(file) } else { json!([]) };
    for object in objects.as_array().into_iter().flatten() {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let part = |part: &str| object[part].clone();
        match object["kind"].as_str() {
            Some("LimitRange") => {
                let spec: control_plane::ground::limits::RangeSpec =
                    serde_json::from_value(part("spec")).expect("a spec");
                limits.ranges.apply("shop", name, spec.into());
            }
            Some("ResourceQuota") => {
                let both = serde_json::from_value(json!([part("spec"), part("status")]));
                let both: (_, _) = both.expect("spec and status");
                limits.quotas.apply("shop", name, both.into());
            }
            // A namespace's labels are for the API server.
            other => assert_eq!(other, Some("Namespace"), "no limit"),
        }
    }
    limits.of("shop")
}

fn written(decision: &Decision) -> Value {
    match decision {
        Decision::NotAsked => json!({"decision": "not asked"}),
        Decision::Skipped { reason, warnings } => {
            json!({"decision": "skipped", "reason": reason.label(), "warnings": warnings})
        }
        Decision::Injected { operations, warnings } => {
            json!({"decision": "injected", "warnings": warnings, "patch": operations})
        }
    }
}

#[test]
fn every_golden_pod_is_decided_as_written() {
    for name in names() {
        let pod = read(&folder().join(format!("{name}.pod.json")));
        let limits = limits(&folder().join(format!("{name}.namespace.json")));
        let decided = written(&decision(&pod, UID, &limits));
        let decided = serde_json::to_string_pretty(&decided).expect("JSON") + "\n";
        expect_file![folder().join(format!("{name}.patch.json"))].assert_eq(&decided);
    }
}

#[test]
fn every_golden_pod_keeps_the_laws() {
    let names = names();
    assert!(names.len() >= 100, "only {}", names.len());
    for name in names {
        println!("{name}");
        let pod = read(&folder().join(format!("{name}.pod.json")));
        check_laws(&pod, &limits(&folder().join(format!("{name}.namespace.json"))));
    }
}
