//! CEL and our reader judge the same values, and must come to the same verdict.

use std::sync::Arc;

use anyhow::ensure;
use control_plane::ground::{
    annotations::{self, ALL},
    pod::Texts,
};
use serde_json::{Value, json};
use tests::control_plane::World;

use super::{client, ours, warned, workload};

/// Values of each annotation, good and bad; which is which, our reader says.
const VALUES: [(&[&str], &[&str]); 12] = [
    (
        &["warmup-requests"],
        &[
            "1",
            "3",
            "0012",
            "12000",
            " 7 ",
            "0",
            "12001",
            "99999999999999999999",
            "+3",
            "-1",
            "1.5",
            "many",
            "",
            "３",
        ],
    ),
    (&["warmup-concurrency", "warmup-connections"], &["1", "01", "2", "64", "65", "0", "000", "x", "", "1 "]),
    (&["warmup-retries"], &["0", "+0", "00", "3", "10", "11", "-0", "", "x"]),
    (
        &["warmup-duration", "warmup-timeout", "warmup-ramp"],
        &[
            "30s",
            "1m30s",
            "1.5m",
            ".5s",
            "1.s",
            "250ms",
            "999us",
            "1000µs",
            "1000μs",
            "+30s",
            "5m",
            "300s",
            "300000ms",
            "0.05h",
            "0000000000000000030s",
            "5m0.1s",
            "301s",
            "6m",
            "1h",
            "9999999h",
            "99999999999999999999s",
            "0",
            "0s",
            "+0",
            "-30s",
            "-0",
            "30",
            "30 s",
            "s",
            ".s",
            "1..5s",
            "30sec",
            "",
            "1d",
            "1µ",
            "1m-30s",
            "1s 1s",
        ],
    ),
    (
        &["warmup-port"],
        &[
            "8080",
            "1",
            "65535",
            "008080",
            "http",
            "web-1",
            "1a",
            "a",
            "0",
            "65536",
            "999999999",
            "HTTP",
            "a_b",
            "-a",
            "a-",
            "a--b",
            "a-name-that-is-too-long",
            "",
            "--",
            "1-1",
        ],
    ),
    (
        &["warmup-protocol", "warmup-until"],
        &["http", "https", "h2c", "grpc", "HTTP", "spdy", "count", "stable", "", " http "],
    ),
    (
        &["warmup-success-threshold"],
        &[
            "0%", "50%", "99.999%", "100%", "100.000%", "007%", "100.001%", "101%", "1.2345%", ".5%", "5.%",
            "50", "0.5", "-1%", "50 %", "%", "",
        ],
    ),
    (
        &["warmup-endpoint"],
        &[
            "/",
            "search?q=a%20b",
            " /a\n\t/b  c ",
            "auto",
            "/auto",
            "?q=1",
            "/time/12:30",
            "12:30",
            "a:b/c",
            "/a\"{b}",
            "//x",
            "/?a=<",
            "/a?b^c`d",
            "/a\u{a0}/b",
            "*",
            "http://db/",
            "https://db",
            "db:",
            "db:/x",
            "db:?x",
            "auto /x",
            "/x auto",
            "/a#b",
            "/ä",
            "/a<b",
            "/a`b",
            "/a?\"",
            "",
            "  ",
            "/a\u{1}b",
        ],
    ),
    (
        &["sidecar-cpu-request", "sidecar-cpu-limit", "sidecar-memory-request"],
        &[
            "1", "5m", "0.5", ".5", "1.", "100u", "2e3", "1E", "16MB", "1Ki", "0", "0m", "m", "-1", "+1",
            "1,5", "1 Mi", "0x10", "1..5", "1MiB", "1B", "",
        ],
    ),
    (
        &["sidecar-memory-limit"],
        &[
            "8Mi", "16Mi", "8388608", "8388607", "9MB", "8MB", "8192KB", "8389KB", "1GB", "1.5Gi", "7.9Mi",
            "1e7", "10", "16mb", "0Gi", "",
        ],
    ),
    (
        &["warmup-allow"],
        &[
            "job",
            "host-network",
            "job,host-network",
            " job , ",
            ",",
            "",
            "Job",
            "job host-network",
            "everything",
        ],
    ),
    (
        &["warmup-grpc-method", "warmup-grpc-payload", "warmup-config", "warmup-report", "warmups"],
        &["", "a.B/C", "{}", " { } ", "[]", "{\"a\": 1}"],
    ),
];

/// Calls of which most lack something.
fn calls() -> Vec<Value> {
    let mut calls = vec![
        json!({"warmup-protocol": "grpc"}),
        json!({"warmup-protocol": "grpc", "warmup-grpc-payload": "{\"a\": 1}"}),
        json!({"warmup-protocol": "http", "warmup-grpc-method": "a.B/C"}),
    ];
    let long = format!("a.B/{}", "c".repeat(253));
    for method in [
        "a.B/C",
        "B/C",
        " a_1.B2/_c ",
        "/a.B/C",
        "a.B.C",
        "a/B/C",
        "a..B/C",
        ".B/C",
        "a./C",
        "a.B/",
        "1a.B/C",
        "a.B/1",
        "a.B/C d",
        "ä.B/C",
        "",
        &long[..256],
        &long,
    ] {
        calls.push(json!({"warmup-protocol": "grpc", "warmup-grpc-method": method}));
    }
    let long = format!("{{\"a\": \"{}\"}}", "ä".repeat(16_384 - 9));
    for payload in [
        "{}",
        " {\n} ",
        "{\"a\": {\"b\": [1]}}",
        "",
        "[]",
        "null",
        "{",
        "1}",
        &long,
        &long.replacen(' ', "  ", 1),
    ] {
        let method = "a.B/C";
        calls.push(
            json!({"warmup-protocol": "grpc", "warmup-grpc-method": method, "warmup-grpc-payload": payload}),
        );
    }
    for endpoint in ["/", " / ", "/a", "auto", ""] {
        let method = "a.B/C";
        calls.push(
            json!({"warmup-protocol": "grpc", "warmup-grpc-method": method, "warmup-endpoint": endpoint}),
        );
    }
    calls
}

/// Pairs of which neither is wrong by itself.
fn pairs() -> Vec<Value> {
    let mut pairs = calls();
    for (kind, values) in [("cpu", ["5m", "0.1", "1", "1000m"]), ("memory", ["8Mi", "16MB", "16Mi", "1GB"])] {
        for request in values {
            for limit in values {
                let (request_key, limit_key) =
                    (format!("sidecar-{kind}-request"), format!("sidecar-{kind}-limit"));
                pairs.push(json!({request_key: request, limit_key: limit}));
            }
        }
    }
    for ramp in ["0s", "5s", "31s", "1h", "soon"] {
        pairs.push(json!({"warmup-ramp": ramp, "warmup-timeout": "1m"}));
        pairs.push(json!({"warmup-ramp": ramp, "warmup-duration": "4999ms"}));
        pairs.push(json!({"warmup-ramp": ramp, "warmup-duration": "5s"}));
        pairs.push(json!({"warmup-ramp": ramp, "warmup-duration": "5"}));
    }
    pairs.push(json!({"warmup-timeout": "5s", "warmup-duration": "5s"}));
    pairs.push(json!({"warmup-timeout": "1m", "warmup-concurrency": "4", "warmup-connections": "16"}));
    pairs.push(json!({"warmup-endpoint": "/a ".repeat(64)}));
    pairs.push(json!({"warmup-endpoint": "/a ".repeat(65)}));
    pairs.push(json!({"warmup-endpoint": format!("/{}", "a".repeat(2_047))}));
    pairs.push(json!({"warmup-endpoint": format!("/{}", "a".repeat(2_048))}));
    // More than CEL may spend on one expression: it keeps silent then, and so it may not be called wrong.
    pairs.push(json!({"warmup-endpoint": format!("/{} ", "a".repeat(2_000)).repeat(64)}));
    pairs
}

/// Whether the webhook would take `annotations` without a word.
fn is_right(annotations: &Value) -> anyhow::Result<bool> {
    let text = ours(annotations).to_string();
    let texts: Texts<'_> = serde_json::from_str(&text)?;
    Ok(annotations::read(&texts).is_ok() && annotations::unknown(&texts).next().is_none())
}

pub(super) async fn agree(world: Arc<World>) -> anyhow::Result<()> {
    let client = client(&world).await?;
    let singles = VALUES.iter().flat_map(|(keys, values)| {
        keys.iter().flat_map(|key| values.iter().map(|value| json!({*key: value})))
    });
    let mut seen = [0, 0];
    let mut disagreements = Vec::new();
    for mut annotations in singles.chain(pairs()) {
        annotations["warmup"] = "enabled".into();
        let is_right = is_right(&annotations)?;
        let warnings = warned(&client, &workload("Deployment", &annotations)).await?;
        seen[usize::from(is_right)] += 1;
        if is_right != warnings.is_empty() {
            disagreements.push(format!(
                "{annotations} is {}, and CEL says {warnings:?}",
                if is_right { "right" } else { "wrong" }
            ));
        }
    }
    ensure!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    ensure!(seen.iter().all(|count| *count > 50), "{seen:?}");
    for key in
        ALL.iter().map(|key| key.name.trim_start_matches("kube-booster.io/")).filter(|key| *key != "warmup")
    {
        ensure!(VALUES.iter().any(|(keys, _)| keys.contains(&key)), "no value of {key} was judged");
    }
    Ok(())
}
