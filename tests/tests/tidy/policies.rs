//! The policies in the manifests know the same names as the code.

use std::fs;

use control_plane::ground::annotations::ALL;
use tests::programs::checkout;

fn read(path: &str) -> String {
    fs::read_to_string(checkout().join(path)).expect(path)
}

/// The words in `"…"` of `text`.
fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

#[test]
fn the_warnings_for_templates_know_every_annotation_and_no_other() {
    let policy = read("manifests/base/template-warnings.yaml");
    let list = policy.split_once("- name: known").expect("a variable with all keys").1;
    let list = list.split_once('[').and_then(|(_, rest)| rest.split_once(']')).expect("a list").0;
    let known: Vec<&str> = ALL.iter().map(|key| key.name).collect();
    assert_eq!(quoted(list), known);
}

#[test]
fn the_warnings_for_templates_say_defaults_and_values_as_the_webhook_does() {
    let policy = read("manifests/base/template-warnings.yaml");
    for key in ALL {
        let looked_up = format!(r#"variables.annotations[?"{}"].orValue("#, key.name);
        let Some((_, rest)) = policy.split_once(&looked_up) else { continue };
        let default = quoted(rest).first().copied().unwrap_or_default();
        assert!(["–", default].contains(&key.default), "{}: {default} is not its default", key.name);
        let said = format!("use {}", key.takes);
        let advice =
            policy.lines().filter(|line| line.contains(key.name) || line.contains(" is not what it takes"));
        assert!(advice.into_iter().any(|line| line.contains(&said)), "{}: nowhere is said: {said}", key.name);
    }
}
