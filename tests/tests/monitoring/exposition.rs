//! Metrics as Prometheus' older text form has them, which is the one that promtool checks.

/// `text` without what only `OpenMetrics` knows: units, the end, and counters that are named without their ending.
pub(crate) fn classic(text: &str) -> String {
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let lines = text.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF");
    let renamed = lines.map(|line| {
        let Some((kind, rest)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')) else {
            return format!("{line}\n");
        };
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let ending = if counters.contains(&name) { "_total" } else { "" };
        format!("# {kind} {name}{ending} {rest}\n")
    });
    renamed.collect()
}
