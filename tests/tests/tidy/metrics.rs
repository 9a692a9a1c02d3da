//! The documents name the metrics that the control plane has.

use std::fs;

use syn::{
    Expr, ExprLit, ExprMethodCall, ExprPath, Lit,
    visit::{self, Visit},
};
use tests::programs::checkout;

use super::modules::of_crate;

/// Gathers the families that are registered, with their units.
#[derive(Default)]
struct Families {
    names: Vec<String>,
    prefix: &'static str,
}

impl Families {
    fn add(&mut self, name: &str) {
        self.names.push(format!("{}{name}", self.prefix));
    }
}

impl<'ast> Visit<'ast> for Families {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let written = "names and units of families stand where these are registered";
        match (call.method.to_string().as_str(), call.args.iter().collect::<Vec<_>>().as_slice()) {
            ("register", [name, ..]) => self.add(&text(name).expect(written)),
            ("register_with_unit", [name, _, unit, ..]) => {
                let (name, unit) = (text(name).expect(written), variant(unit).expect(written));
                self.add(&format!("{name}_{}", unit.to_lowercase()));
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
pub(crate) fn registered() -> Vec<String> {
    let mut families = Families::default();
    for module in of_crate(&checkout().join("control-plane/src/lib.rs")) {
        if module.path.starts_with(&["adapters".to_owned(), "metrics".to_owned()]) {
            // The process has the names that everybody gives it.
            families.prefix =
                if module.path.last().is_some_and(|name| name == "process") { "" } else { "kube_booster_" };
            module.items.iter().for_each(|item| families.visit_item(item));
        }
    }
    families.names.sort();
    families.names
}

/// The metrics that `document` names behind each `before`, without labels and the ending that all counters have.
fn named(document: &str, before: &str) -> Vec<String> {
    let text = fs::read_to_string(checkout().join(document)).expect(document);
    let rest = text.match_indices(before).map(|(at, _)| &text[at + before.len()..]);
    let rest =
        rest.filter(|rest| ["kube_booster_", "process_"].iter().any(|prefix| rest.starts_with(prefix)));
    let names = rest.filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next());
    names.map(|name| name.strip_suffix("_total").unwrap_or(name).to_owned()).collect()
}

#[test]
fn every_metric_has_a_row_in_the_documents_and_every_row_a_metric() {
    let mut rows = named("docs/usage.md", "\n| `");
    rows.sort();
    assert_eq!(rows, registered());
}

#[test]
fn documents_name_no_other_metrics() {
    let known = registered();
    for document in ["CHANGELOG.md", "docs/monitoring.md", "docs/operations.md", "docs/usage.md"] {
        let named = named(document, "`");
        assert!(!named.is_empty(), "{document} names no metric");
        for name in named {
            assert!(known.contains(&name), "{document} names {name}, which is not registered");
        }
    }
}
