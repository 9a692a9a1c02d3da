//! Links the program without a C library where it needs none.

use std::env;

/// Neither start-up code nor a loader: the kernel starts it at `_start`.
const LINKED_ALONE: [&str; 5] =
    ["-nostartfiles", "-nostdlib", "-no-pie", "-Wl,--no-dynamic-linker", "-Wl,--build-id=none"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(alone)");
    let processor = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if ["x86_64", "aarch64"].contains(&processor.as_str()) {
        println!("cargo::rustc-cfg=alone");
        for argument in LINKED_ALONE {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
