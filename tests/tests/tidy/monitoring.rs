//! Rules, dashboards and runbooks speak of metrics that are there, and of each other.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use tests::{
    monitoring::{DASHBOARDS, GLOBAL_RULES, MOVED_ELSEWHERE, RULES, filled, metrics, queries, rules},
    programs::checkout,
};

use super::{documents::rust_files, metrics::registered};

const RUNBOOKS: &str = "docs/runbooks.md";
/// What Prometheus itself and the API server say.
const OF_OTHERS: [&str; 2] = ["up", "apiserver_admission_webhook_fail_open_count"];

/// The names of samples: counters and histograms have more than one name.
fn samples() -> BTreeSet<String> {
    let endings = ["", "_total", "_bucket", "_count", "_sum"];
    let families = registered();
    let own = families.iter().flat_map(|family| endings.map(|ending| format!("{family}{ending}")));
    own.chain(OF_OTHERS.map(str::to_owned)).collect()
}

fn all_rules() -> Vec<Value> {
    let manifests = RULES.into_iter().chain([GLOBAL_RULES]);
    manifests.flat_map(|manifest| rules(manifest).expect(manifest)).collect()
}

fn text<'a>(rule: &'a Value, field: &str) -> Option<&'a str> {
    rule.pointer(field)?.as_str()
}

#[test]
fn rules_and_dashboards_ask_for_metrics_that_are_registered_or_recorded() {
    let mut known = samples();
    known.extend(all_rules().iter().filter_map(|rule| text(rule, "/record").map(str::to_owned)));
    let rules = all_rules();
    let of_rules = rules.iter().filter_map(|rule| text(rule, "/expr").map(str::to_owned));
    let of_panels = DASHBOARDS.into_iter().flat_map(|name| queries(name).expect(name));
    let of_panels = of_panels.map(|query| filled(&query.expression, "1m", "1h"));
    let mut count = 0;
    for expression in of_rules.chain(of_panels) {
        let named = metrics(&expression);
        assert!(!named.is_empty(), "{expression} asks for nothing");
        for name in named {
            assert!(known.contains(&name), "{name} is neither registered nor recorded: {expression}");
        }
        count += 1;
    }
    assert!(count > 80, "{count} expressions");
}

#[test]
fn every_alert_says_how_grave_it_is_and_what_it_means_and_has_its_runbook() {
    let runbooks = fs::read_to_string(checkout().join(RUNBOOKS)).expect(RUNBOOKS);
    let sections: Vec<&str> =
        runbooks.lines().filter_map(|line| line.strip_prefix("### KubeBooster")).collect();
    let mut alerts = Vec::new();
    for rule in all_rules() {
        let Some(name) = text(&rule, "/alert") else { continue };
        let severity = text(&rule, "/labels/severity").expect(name);
        assert!(["critical", "warning", "info"].contains(&severity), "{name} is {severity}");
        for annotation in ["/annotations/summary", "/annotations/description"] {
            assert!(
                text(&rule, annotation).is_some_and(|text| !text.is_empty()),
                "{name} has no {annotation}"
            );
        }
        let address = format!("{RUNBOOKS}#{}", name.to_lowercase());
        assert_eq!(text(&rule, "/annotations/runbook_url"), Some(address.as_str()), "{name}");
        alerts.push(name.strip_prefix("KubeBooster").expect("our alerts bear our name").to_owned());
    }
    assert_eq!(sections, alerts, "{RUNBOOKS} has a section for each alert, in the same order");
}

#[test]
fn every_runbook_says_what_it_means_how_to_look_and_what_to_type() {
    let runbooks = fs::read_to_string(checkout().join(RUNBOOKS)).expect(RUNBOOKS);
    for section in runbooks.split("\n### ").skip(1) {
        let name = section.lines().next().unwrap_or_default();
        for part in ["**Means.**", "**Look.**", "```console", "**Do.**"] {
            assert!(section.contains(part), "the runbook of {name} lacks {part}");
        }
    }
}

#[test]
fn panels_are_told_apart_and_lie_beside_each_other() {
    for name in DASHBOARDS {
        let dashboard = tests::monitoring::text(name).expect(name);
        let dashboard: Value = serde_json::from_str(&dashboard).expect(name);
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().expect("panels") {
            assert!(ids.insert(panel["id"].as_i64()), "{name}: two panels have id {}", panel["id"]);
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_i64().expect(key));
            assert!(x + w <= 24, "{name}: {} is wider than the page", panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{name}: {} covers another panel", panel["title"]);
            }
        }
    }
}

#[test]
fn what_the_monitoring_tests_do_not_move_another_test_does() {
    let families = registered();
    let files = rust_files(checkout());
    let files = files.iter().filter(|path| !path.ends_with("tests/src/monitoring.rs"));
    let sources: Vec<String> = files.filter_map(|path| fs::read_to_string(path).ok()).collect();
    for (metric, test) in MOVED_ELSEWHERE {
        let family = metric.strip_suffix("_total").unwrap_or(metric);
        assert!(families.iter().any(|known| known == family), "{metric} is not registered");
        let is_test = |source: &&String| {
            source.contains(&format!("\"{test}\"")) || source.contains(&format!("fn {test}("))
        };
        let moves = sources.iter().filter(is_test).any(|source| source.contains(metric));
        assert!(moves, "no test {test:?} speaks of {metric}");
    }
}
