//! What an operator sets, and what the control plane says when it cannot start.

use std::{net::Ipv4Addr, process::Command, time::Duration};

use anyhow::ensure;
use axum::{Router, routing::get};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    api_server::free_port,
    control_plane::World,
    daemon::Daemon,
    patience::SOON,
    pods::{annotated, create, namespace},
    programs,
    reports::{good_report, published_ca, submit},
    sidecar::{container, pod_token},
    trials::alone,
};
use tokio::net::TcpListener;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone("a Kubernetes that is too old is refused before anything is registered", SOON, too_old),
        alone("certificates that somebody else made are served", 3 * SOON, own_certificates),
        alone("a bad flag is answered with what to write instead", SOON, bad_flag),
    ]
}

async fn too_old() -> anyhow::Result<()> {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = asked.clone();
    let version = json!({"major": "1", "minor": "29", "gitVersion": "v1.29.8", "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": ""});
    let router = Router::new().route("/version", get(async move || version.to_string())).layer(
        axum::middleware::from_fn(move |request: axum::extract::Request, next: axum::middleware::Next| {
            log.lock().map(|mut log| log.push(format!("{} {}", request.method(), request.uri()))).ok();
            next.run(request)
        }),
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "old",
        "clusters": [{"name": "old", "cluster": {"server": url}}], "users": [{"name": "old", "user": {}}],
        "contexts": [{"name": "old", "context": {"cluster": "old", "user": "old"}}]});
    std::fs::write(&kubeconfig, config.to_string())?;
    let mut command = Command::new(programs::own("kube-booster-control-plane")?);
    command.env("KUBECONFIG", &kubeconfig);
    for flag in ["metrics-bind-address", "health-probe-bind-address"] {
        command.arg(format!("--{flag}=127.0.0.1:{}", free_port()?));
    }
    let mut daemon = Daemon::start(&command, &folder.path().join("log"))?;
    let ended = daemon.ended(Duration::from_secs(10)).await?;
    let output = daemon.output();
    ensure!(
        !ended.success() && output.contains("needs Kubernetes 1.30 or later, and this API server is 1.29"),
        "{output}"
    );
    let asked = asked.lock().map(|asked| asked.clone()).unwrap_or_default();
    ensure!(asked == ["GET /version"], "{asked:?}");
    Ok(())
}

async fn own_certificates() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = format!("--cert-dir={}", folder.path().display());
    let mut world = World::without_control_plane(&[&certificates]).await?;
    let script = programs::checkout().join("hack/generate_certs.sh");
    let made = Command::new(script).arg(folder.path()).env("KUBECONFIG", world.api.kubeconfig()).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    world.api.kubectl(&["--namespace", "kube-booster-system", "get", "secret", "kube-booster-certs"])?;
    world.start_control_plane().await?;

    let client = world.api.client().await?;
    let pods = namespace(&client, "own-certificates", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    container(&pod)?;
    let ca = std::fs::read_to_string(folder.path().join("ca.crt"))?;
    ensure!(published_ca(&client).await? == ca);
    let token = pod_token(&client, &pod, "kube-booster.io").await?;
    ensure!(submit(&world, &token, &good_report()).await??.into_inner().recorded);
    let own = world.api.kubectl(&["--namespace", "kube-booster-system", "get", "secret", "kube-booster-ca"]);
    ensure!(own.is_err(), "a CA was made although one was given");
    Ok(())
}

async fn bad_flag() -> anyhow::Result<()> {
    for (flag, advice) in [
        ("--report-grace-period=30", "use one such as 30s or 1m30s"),
        ("--scan-interval=100ms", "use a duration of 1s or more"),
        ("--metrics-bind-address=8080", "use an address such as :8080"),
        ("--webhook-port=99999", "99999 is not in 0..=65535"),
        ("--webhook-max-concurrency=0", "use a whole number from 1 to 1024, or -1 to take it from the cores"),
        (
            "--webhook-max-concurrency=many",
            "use a whole number from 1 to 1024, or -1 to take it from the cores",
        ),
        ("--webhook-gc-threshold=much", "use bytes or a unit, such as 100MB or 64Mi"),
        ("--webhook-performance-window=1s", "use a duration from 10s to 1h"),
        ("--report-address=reports.example.com:9090", "invalid socket address"),
    ] {
        let output = Command::new(programs::own("kube-booster-control-plane")?).arg(flag).output()?;
        let text = String::from_utf8(output.stderr)?;
        ensure!(!output.status.success() && text.contains(advice), "{flag}: {text}");
    }
    Ok(())
}
