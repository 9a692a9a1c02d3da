//! The images that Docker builds are those that hack/images.sh builds.

use std::{fs, process::Command};

use tests::programs::checkout;

const IMAGES: [&str; 2] = ["control-plane", "sidecar"];

fn read(path: &str) -> String {
    fs::read_to_string(checkout().join(path)).expect(path)
}

/// What follows each `instruction` of the Dockerfile of `image`; continued lines are joined.
fn instructions(image: &str, instruction: &str) -> Vec<String> {
    let text = read(&format!("{image}/Dockerfile")).replace("\\\n", "");
    let lines = text.lines().filter_map(|line| line.strip_prefix(instruction)?.strip_prefix(' '));
    lines.map(str::to_owned).collect()
}

/// How hack/images.sh calls `image` for this image: name, package, program and options.
fn built_without_docker(image: &str) -> Vec<String> {
    let script = read("hack/images.sh").replace("\\\n", "");
    let call = script
        .lines()
        .find(|line| line.contains(&format!(r#"image "$1" {image} "#)))
        .expect(image)
        .to_owned();
    let (_, words) = call.split_once(r#"image "$1" "#).expect("a call");
    words.trim_end_matches("; }").split_whitespace().map(str::to_owned).collect()
}

#[test]
fn docker_compiles_with_the_workspaces_rust_and_by_the_same_script() {
    let version = read("Cargo.toml");
    let version = version.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    for image in IMAGES {
        let from = [format!("rust:{} AS build", version.expect("a version")), "scratch".to_owned()];
        assert_eq!(instructions(image, "FROM"), from);
        let [run] = &instructions(image, "RUN")[..] else { panic!("{image} is compiled in one step") };
        assert!(run.contains(&format!("hack/compile.sh {image})")), "{run}");
        assert!(read("hack/images.sh").contains("\"$hack/compile.sh\" \"$package\""));
    }
}

#[test]
fn docker_makes_the_same_image() {
    for image in IMAGES {
        let call = built_without_docker(image);
        let program = &call[1];
        assert_eq!(instructions(image, "ENTRYPOINT"), [format!("[\"/{program}\"]")]);
        assert_eq!(instructions(image, "USER"), ["65532:65532"]);
        let beside = call.windows(2).filter(|pair| pair[0] == "--file");
        let beside = beside.filter_map(|pair| pair[1].trim_matches('"').rsplit('/').next());
        let copies = [program.as_str()].into_iter().chain(beside);
        let copies = copies.map(|program| format!("--from=build /image/{program} /{program}"));
        assert_eq!(
            instructions(image, "COPY"),
            [". .".to_owned()].into_iter().chain(copies).collect::<Vec<_>>()
        );
        let ports: Vec<&str> =
            call.windows(2).filter(|pair| pair[0] == "--port").map(|pair| pair[1].as_str()).collect();
        assert_eq!(instructions(image, "EXPOSE").join(" "), ports.join(" "));
        let labels = instructions(image, "LABEL").join(" ");
        let script = read("hack/images.sh");
        for label in
            script.split("org.opencontainers.image.").skip(1).filter_map(|rest| rest.split('=').next())
        {
            assert!(labels.contains(&format!("image.{label}=")), "{image} lacks label {label}");
        }
    }
}

#[test]
fn docker_sees_every_member_of_the_workspace() {
    let ignored = read(".dockerignore");
    let let_through: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for path in &let_through {
        assert!(checkout().join(path).exists(), "{path} is not there");
    }
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).expect("members");
    for member in members.split('"').skip(1).step_by(2).chain(["hack", "Cargo.toml", "Cargo.lock"]) {
        let folder = member.split('/').next().unwrap_or_default();
        assert!(let_through.contains(&folder), "{member} is kept from Docker");
    }
}

#[test]
fn without_an_engine_the_doors_name_the_one_that_needs_none() {
    for door in ["build", "push"] {
        let mut script = Command::new(checkout().join("hack/docker.sh"));
        // Where Docker is installed, nobody answers it here.
        script.args([door, "localhost/a:1", "localhost/b:1"]).env("DOCKER_HOST", "tcp://127.0.0.1:1");
        let output = script.output().expect("a script that starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("make images"), "{said}");
    }
}
