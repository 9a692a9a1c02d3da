//! The documents name the metrics that the control plane has.

use std::fs;

use syn::{
    Expr, ExprLit, ExprMethodCall, ExprPath, Lit,
    visit::{self, Visit},
};
use tests::programs::checkout;

use super::modules::of_crate;

/// Gathers the families that are registered, by their names without prefix, with their units.
#[derive(Default)]
struct Families(Vec<String>);

impl<'ast> Visit<'ast> for Families {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let written = "names and units of families stand where these are registered";
        match (call.method.to_string().as_str(), call.args.iter().collect::<Vec<_>>().as_slice()) {
            ("register", [name, ..]) => self.0.push(text(name).expect(written)),
            ("register_with_unit", [name, _, unit, ..]) => {
                let (name, unit) = (text(name).expect(written), variant(unit).expect(written));
                self.0.push(format!("{name}_{}", unit.to_lowercase()));
            }
            _ => {}
        }
        visit::visit_expr_method_call(self, call);
    }
}

fn text(expression: &Expr) -> Option<String> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expression else { return None };
    Some(text.value())
}

fn variant(expression: &Expr) -> Option<String> {
    let Expr::Path(ExprPath { path, .. }) = expression else { return None };
    path.segments.last().map(|segment| segment.ident.to_string())
}

/// Sorted; a family that is registered twice is there twice.
fn registered() -> Vec<String> {
    let mut families = Families::default();
    for module in of_crate(&checkout().join("control-plane/src/lib.rs")) {
        if module.path.starts_with(&["adapters".to_owned(), "metrics".to_owned()]) {
            module.items.iter().for_each(|item| families.visit_item(item));
        }
    }
    families.0.sort();
    families.0
}

/// What stands behind each `before` in `document`, up to the labels, without the ending that all counters have.
fn named(document: &str, before: &str) -> Vec<String> {
    let text = fs::read_to_string(checkout().join(document)).expect(document);
    let rest = text.match_indices(before).map(|(at, _)| &text[at + before.len()..]);
    let names = rest.filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next());
    names.map(|name| name.strip_suffix("_total").unwrap_or(name).to_owned()).collect()
}

#[test]
fn every_metric_has_a_row_in_the_documents_and_every_row_a_metric() {
    let mut rows = named("docs/usage.md", "\n| `kube_booster_");
    rows.sort();
    assert_eq!(rows, registered());
}

#[test]
fn documents_name_no_other_metrics() {
    let known = registered();
    for document in ["CHANGELOG.md", "docs/operations.md", "docs/usage.md"] {
        let named = named(document, "`kube_booster_");
        assert!(!named.is_empty(), "{document} names no metric");
        for name in named {
            assert!(known.contains(&name), "{document} names kube_booster_{name}, which is not registered");
        }
    }
}
