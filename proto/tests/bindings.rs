//! The committed bindings are the ones that the proto files give. `UPDATE_BINDINGS=1 cargo test -p proto` renews them.

use std::{fs, path::Path};

use prost::Message;

const FILES: [&str; 3] = [
    "kube_booster/v1/result.proto",
    "kube_booster/v1/warmup_service.proto",
    "kube_booster/v1/report_service.proto",
];

#[test]
fn the_bindings_are_what_the_proto_files_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_files(FILES).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(fresh.path())
        .emit_rerun_if_changed(false)
        .client_mod_attribute("kube_booster.v1", "#[cfg(feature = \"client\")]")
        .server_mod_attribute("kube_booster.v1", "#[cfg(feature = \"server\")]")
        .build_transport(false)
        .compile_fds(compiler.file_descriptor_set())
        .unwrap();
    // Reflection needs no comments.
    compiler.include_source_info(false);
    fs::write(fresh.path().join("descriptors.bin"), compiler.file_descriptor_set().encode_to_vec()).unwrap();

    let committed = root.join("src/generated");
    for name in ["kube_booster.v1.rs", "descriptors.bin"] {
        let expected = fs::read(fresh.path().join(name)).unwrap();
        if std::env::var_os("UPDATE_BINDINGS").is_some() {
            fs::write(committed.join(name), &expected).unwrap();
        }
        assert!(
            fs::read(committed.join(name)).is_ok_and(|found| found == expected),
            "{name} is stale: run UPDATE_BINDINGS=1 cargo test -p proto",
        );
    }
}
