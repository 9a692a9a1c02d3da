//! The rules and dashboards that the manifests hold.

use std::fs;

use anyhow::Context;
use serde_json::Value;

use crate::programs::checkout;

/// The manifests with rules for each cluster.
pub const RULES: [&str; 2] = ["recording-rules.yaml", "alerts.yaml"];
/// The manifest with rules over all clusters.
pub const GLOBAL_RULES: &str = "global/rules.yaml";
/// The dashboard of one cluster, and that of all of them.
pub const DASHBOARDS: [&str; 2] = ["kube-booster.json", "global/kube-booster-clusters.json"];

/// A query of a dashboard's panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The panel's id.
    pub panel: i64,
    /// The panel's title.
    pub title: String,
    /// The query's name in its panel.
    pub name: String,
    /// With Grafana's variables.
    pub expression: String,
}

/// Metrics that no good or bad day moves, with the test that does.
pub const MOVED_ELSEWHERE: [(&str, &str); 11] = [
    ("kube_booster_certificate_failures_total", "files that are broken leave what was served before"),
    ("kube_booster_evictions_total", "missed pods are evicted one by one, as far as their budgets allow it"),
    (
        "kube_booster_gate_patch_failures_total",
        "a patch that the API server refuses for a while is tried until it is taken",
    ),
    (
        "kube_booster_injection_paused_everywhere",
        "an image that cannot be pulled anywhere pauses all namespaces, and without a fallback image nothing is exchanged",
    ),
    (
        "kube_booster_self_check_failures_total",
        "readiness is lost, and reports are not, when the API server trusts others",
    ),
    // A scrape takes no part in the moment in which a review is there, or a task waits.
    ("kube_booster_runtime_queue_depth", "tasks_memory_and_what_was_slow_are_counted"),
    ("kube_booster_webhook_tasks", "tasks_memory_and_what_was_slow_are_counted"),
    ("kube_booster_webhook_in_flight", "a_review_is_counted_while_it_is_there_and_timed_when_it_leaves"),
    ("kube_booster_webhook_queue_length", "a_review_is_counted_while_it_is_there_and_timed_when_it_leaves"),
    (
        "kube_booster_webhook_queue_wait_seconds",
        "pods whose reviews are shed are tried again and stored with their sidecar",
    ),
    (
        "kube_booster_webhook_shed_total",
        "pods whose reviews are shed are tried again and stored with their sidecar",
    ),
];

/// The text of `name` in `manifests/monitoring`.
pub fn text(name: &str) -> anyhow::Result<String> {
    fs::read_to_string(checkout().join("manifests/monitoring").join(name)).with_context(|| name.to_owned())
}

/// The object in manifest `name`.
pub fn object(name: &str) -> anyhow::Result<Value> {
    serde_saphyr::from_str(&text(name)?).with_context(|| name.to_owned())
}

/// The groups of the rules in manifest `name`.
pub fn groups(name: &str) -> anyhow::Result<Vec<Value>> {
    object(name)?["spec"]["groups"].as_array().cloned().with_context(|| format!("{name} holds no groups"))
}

/// All rules in manifest `name`.
pub fn rules(name: &str) -> anyhow::Result<Vec<Value>> {
    let groups = groups(name)?;
    Ok(groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten().cloned()).collect())
}

/// All queries of the panels of dashboard `name`.
pub fn queries(name: &str) -> anyhow::Result<Vec<Query>> {
    let dashboard: Value = serde_json::from_str(&text(name)?)?;
    let panels = dashboard["panels"].as_array().context("a dashboard has panels")?;
    let mut found = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
            found.push(Query {
                panel: panel["id"].as_i64().context("a panel has an id")?,
                title: text(&panel["title"])?,
                name: text(&target["refId"])?,
                expression: text(&target["expr"])?,
            });
        }
    }
    Ok(found)
}

/// The metrics that docs/usage.md describes, as their samples are named.
pub fn documented() -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(checkout().join("docs/usage.md"))?;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let names = rows.filter_map(|(name, _)| name.split('{').next().map(str::to_owned));
    Ok(names
        .filter(|name| ["kube_booster_", "process_"].iter().any(|prefix| name.starts_with(prefix)))
        .collect())
}

/// `expression` with Grafana's variables as they are when everything is chosen; `rate` and `range` are durations.
#[must_use]
pub fn filled(expression: &str, rate: &str, range: &str) -> String {
    let expression = expression.replace("$__rate_interval", rate).replace("$__range", range);
    expression.replace("$cluster", ".*").replace("$namespace", ".*")
}

/// The names of metrics and recorded series in `expression`: whatever is neither a number, a function, a word of the
/// language nor a label.
#[must_use]
pub fn metrics(expression: &str) -> Vec<String> {
    let bare = [('"', '"'), ('{', '}'), ('[', ']')]
        .into_iter()
        .fold(expression.to_owned(), |text, (open, close)| without(&text, open, close));
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (mut found, mut rest, mut is_list) = (Vec::new(), bare.as_str(), false);
    while let Some(start) = rest.find(is_of_name) {
        is_list = is_list && !rest[..start].contains(')');
        rest = &rest[start..];
        let (name, behind) = rest.split_at(rest.find(|c| !is_of_name(c)).unwrap_or(rest.len()));
        let next = behind.trim_start();
        let calls = next.starts_with('(') || ["by ", "without "].iter().any(|word| next.starts_with(word));
        if LISTS.contains(&name) {
            is_list = true;
        } else if !is_list
            && !calls
            && !WORDS.contains(&name)
            && !name.starts_with(|c: char| c.is_ascii_digit())
        {
            found.push(name.to_owned());
        }
        rest = behind;
    }
    found
}

/// Behind these stand labels, in parentheses.
const LISTS: [&str; 4] = ["by", "ignoring", "on", "without"];
const WORDS: [&str; 5] = ["and", "bool", "offset", "or", "unless"];

/// `text` without what stands between `open` and `close`.
fn without(text: &str, open: char, close: char) -> String {
    let (mut kept, mut is_inside) = (String::new(), false);
    for c in text.chars() {
        match (is_inside, c) {
            (false, c) if c == open => is_inside = true,
            (true, c) if c == close => is_inside = false,
            (true, _) => {}
            (false, c) => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_an_expression_are_found() {
        let expression = r#"sum by (cluster, le) (rate(a_total{x="b"}[5m])) > 0.5 * 3e2 and on (a) c:d:rate5m offset 15m or vector(1)"#;
        assert_eq!(metrics(expression), ["a_total", "c:d:rate5m"]);
        assert_eq!(metrics("up == 0"), ["up"]);
    }
}
