//! Dependencies point one way: main → runtime → adapters → ground → proto.

use std::path::Path;

use syn::{
    Attribute, Item, ItemUse, UseTree,
    visit::{self, Visit},
};
use tests::programs::checkout;

use super::modules::{Module, of_crate};

/// Gathers every path that a module names, as if it began at the crate's root or at another crate.
struct Paths<'m> {
    module: &'m Module,
    found: Vec<Vec<String>>,
}

impl Paths<'_> {
    fn of(module: &Module) -> Vec<Vec<String>> {
        let mut paths = Paths { module, found: Vec::new() };
        module.items.iter().filter(|item| !is_for_tests(item)).for_each(|item| paths.visit_item(item));
        paths.found
    }

    fn note(&mut self, path: Vec<String>) {
        let up = path.iter().take_while(|part| *part == "super").count();
        let absolute = match path.first().map(String::as_str) {
            Some("crate") => path[1..].to_vec(),
            Some("self") => [&self.module.path[..], &path[1..]].concat(),
            Some("super") => {
                let kept = self.module.path.len().saturating_sub(up);
                [&self.module.path[..kept], &path[up..]].concat()
            }
            _ => [vec![String::new()], path].concat(),
        };
        self.found.push(absolute);
    }

    fn flatten(&mut self, tree: &UseTree, before: &[String]) {
        let and = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.flatten(&path.tree, &and(path.ident.to_string())),
            UseTree::Name(name) => self.note(and(name.ident.to_string())),
            UseTree::Rename(rename) => self.note(and(rename.ident.to_string())),
            UseTree::Glob(_) => self.note(before.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.flatten(tree, before)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.flatten(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if parts.len() > 1 {
            self.note(parts);
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Mod(module) => &module.attrs,
        Item::Use(import) => &import.attrs,
        Item::Fn(function) => &function.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg"))
}

/// What a module of `floor` must not name: `(module's first part, path)` decides.
fn check(name: &str, is_allowed: impl Fn(&[String], &[String]) -> bool) {
    let modules = of_crate(&checkout().join(name).join("src/lib.rs"));
    let mut broken = Vec::new();
    for module in modules.iter().filter(|module| module.path.last().is_none_or(|last| last != "tests")) {
        for path in Paths::of(module) {
            if !is_allowed(&module.path, &path) {
                broken.push(format!("{} names {}", relative(&module.file), path.join("::")));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn relative(file: &Path) -> String {
    file.strip_prefix(checkout()).unwrap_or(file).display().to_string()
}

fn starts(path: &[String], with: &[&str]) -> bool {
    path.len() >= with.len() && path.iter().zip(with).all(|(part, expected)| part == expected)
}

/// Crates that talk; the ground floor knows none of them.
const TALKERS: [&str; 9] =
    ["axum", "hyper", "hyper_util", "kube", "nix", "reqwest", "rustls", "tokio", "tonic"];

fn is_floor_kept(module: &[String], path: &[String], above_adapters: &str) -> bool {
    match module.first().map(String::as_str) {
        Some("ground") => {
            let talks = path.first().is_some_and(String::is_empty)
                && path.get(1).is_some_and(|name| TALKERS.contains(&name.as_str()));
            !talks && !starts(path, &["adapters"]) && !starts(path, &[above_adapters])
        }
        Some("adapters") => {
            let other_adapter =
                starts(path, &["adapters"]) && path.len() > 1 && module.len() > 1 && path[1] != module[1];
            // Everybody moves metrics; nobody is moved by them.
            let is_metrics = starts(path, &["adapters", "metrics"]);
            !starts(path, &[above_adapters]) && (!other_adapter || is_metrics)
        }
        _ => true,
    }
}

#[test]
fn the_control_planes_floors_know_only_those_below() {
    check("control-plane", |module, path| is_floor_kept(module, path, "runtime"));
}

#[test]
fn the_sidecars_floors_know_only_those_below() {
    check("sidecar", |module, path| is_floor_kept(module, path, "run"));
}

#[test]
fn only_the_wire_knows_both_domain_and_messages() {
    check("proto", |module, path| {
        let is_domain =
            module.first().is_some_and(|first| ["names", "plan", "report"].contains(&first.as_str()));
        !is_domain || !starts(path, &["v1"]) && !starts(path, &["wire"])
    });
}

#[test]
fn a_broken_floor_is_noticed() {
    let file = |text: &str| Module {
        path: vec!["ground".to_owned(), "plan".to_owned()],
        file: "plan.rs".into(),
        items: syn::parse_file(text).unwrap().items,
    };
    for text in [
        "use crate::{adapters::webhook, ground::pod};",
        "use super::super::adapters::webhook::Webhook;",
        "fn f() { crate::runtime::run(); }",
        "use tokio::sync::mpsc;",
        "fn f() { kube::Client::try_default(); }",
    ] {
        let module = file(text);
        let kept = Paths::of(&module).iter().all(|path| is_floor_kept(&module.path, path, "runtime"));
        assert!(!kept, "{text}");
    }
}
