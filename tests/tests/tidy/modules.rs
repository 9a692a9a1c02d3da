//! The files of a crate, as its `mod` items name them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Item, ItemMod};
use tests::programs::checkout;

/// A file with the module that it holds, such as `["adapters", "webhook"]`; the crate's root is empty.
pub(crate) struct Module {
    pub(crate) path: Vec<String>,
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
}

/// All modules below the root file `root`.
pub(crate) fn of_crate(root: &Path) -> Vec<Module> {
    let mut found = Vec::new();
    collect(root.to_owned(), Vec::new(), &mut found);
    found
}

fn collect(file: PathBuf, path: Vec<String>, found: &mut Vec<Module>) {
    let name = file.display().to_string();
    let items = syn::parse_file(&fs::read_to_string(&file).expect(&name)).expect(&name).items;
    // Children of lib.rs and main.rs lie beside them, all others in a folder of their parent's name.
    let is_root = path.is_empty();
    let folder = if is_root { file.with_file_name("") } else { file.with_extension("") };
    for child in items.iter().filter_map(outline) {
        let name = child.ident.to_string();
        let at = explicit_path(&child.attrs).map(|text| file.with_file_name(text));
        let at = at.unwrap_or_else(|| folder.join(format!("{name}.rs")));
        collect(at, [path.clone(), vec![name]].concat(), found);
    }
    found.push(Module { path, file, items });
}

/// A module whose text is in a file of its own.
fn outline(item: &Item) -> Option<&ItemMod> {
    match item {
        Item::Mod(module) if module.content.is_none() => Some(module),
        _ => None,
    }
}

fn explicit_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("path")).find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
        Some(text.value())
    })
}

/// All Rust files below `folder`.
fn rust_files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "generated") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path);
        }
    }
}

/// Root files below `folder` of a crate: lib.rs and main.rs, or each test and benchmark with its own folder.
fn roots(folder: &Path) -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for name in ["src/lib.rs", "src/main.rs"] {
        roots.push(folder.join(name));
    }
    for entry in
        ["tests", "benches"].iter().flat_map(|name| fs::read_dir(folder.join(name))).flatten().flatten()
    {
        let path = entry.path();
        roots.push(if path.is_dir() { path.join("main.rs") } else { path });
    }
    roots.retain(|root| root.is_file());
    roots
}

#[test]
fn every_rust_file_belongs_to_a_module() {
    for name in ["proto", "control-plane", "sidecar", "sidecar/park", "tests", "hack/demo-app"] {
        let folder = checkout().join(name);
        let mut files = BTreeSet::new();
        rust_files(&folder.join("src"), &mut files);
        rust_files(&folder.join("tests"), &mut files);
        rust_files(&folder.join("benches"), &mut files);
        for root in roots(&folder) {
            for module in of_crate(&root) {
                files.remove(&module.file);
            }
        }
        assert!(files.is_empty(), "nobody compiles {files:?}");
    }
}
