//! What is measured, each in a process of its own: this benchmark, started as a server.

use std::{io::Read, net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, body::Bytes, http::header::CONTENT_TYPE, routing::post};
use control_plane::{
    adapters::{
        metrics::Metrics,
        performance::{Performance, PerformanceArgs},
        server::{self, Door},
        webhook::{self, Tracking, Webhook},
    },
    ground::{injection::SidecarTemplate, limits::Limits},
};
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use serde::{Deserialize, Serialize};
use tests::{authority::TestCa, webhook::Caller};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

/// Makes this program a server.
const FLAG: &str = "--serve";

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Handler {
    /// A constant: what reading, TLS and HTTP cost.
    Constant,
    /// The webhook.
    Webhook,
    /// The webhook with its tracker.
    Tracked,
}

/// How a server is set up.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) handler: Handler,
    pub(crate) slots: usize,
    /// Resident bytes past which memory is given back; 0 for never.
    pub(crate) gc_threshold: u64,
}

/// What a server is told on its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Serve {
    setting: Setting,
    chain: String,
    key: String,
}

impl Serve {
    /// What this process is told to serve, where it is.
    pub(crate) fn asked() -> anyhow::Result<Option<Self>> {
        if std::env::args().nth(1).as_deref() != Some(FLAG) {
            return Ok(None);
        }
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(Some(serde_json::from_str(&line)?))
    }
}

/// A server that runs; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) caller: Caller,
    pub(crate) pid: u32,
    _child: Child,
}

impl Server {
    pub(crate) async fn start(setting: Setting) -> anyhow::Result<Self> {
        let ca = TestCa::new("benchmark")?;
        let (chain, key) = ca.issue(vec!["localhost".to_owned()], (-1, 1))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(FLAG)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let told = serde_json::to_string(&Serve { setting, chain, key })? + "\n";
        // It ends when its standard input does, should nobody kill it.
        let mut input = child.stdin.take().context("a server has an input")?;
        input.write_all(told.as_bytes()).await?;
        child.stdin = Some(input);
        let mut output = BufReader::new(child.stdout.take().context("a server has an output")?);
        let mut port = String::new();
        output.read_line(&mut port).await?;
        let port = port.trim().parse().context("a server says its port")?;
        let caller = Caller::with_certificate(port, Ipv4Addr::LOCALHOST, &ca.certificate((-1, 1))?, None)?;
        Ok(Self { caller, pid: child.id().context("a server runs")?, _child: child })
    }
}

/// Serves until the input is over.
pub(crate) async fn run(serve: Serve) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(serve.chain.as_bytes()).collect();
    let key = any_supported_type(&PrivateKeyDer::from_pem_slice(serve.key.as_bytes())?)?;
    let resolver = SingleCertAndKey::from(CertifiedKey::new(chain?, key));
    let tls = server::tls(Arc::new(resolver), None, &[b"h2", b"http/1.1"]);
    let (metrics, stop) = (Metrics::default(), CancellationToken::new());
    let door = Door {
        name: "webhook",
        limits: server::WEBHOOK,
        tls: Some(watch::Sender::new(tls).subscribe()),
        metrics: metrics.clone(),
        leaving: stop.clone(),
    };
    tokio::spawn(server::serve(listener, door, router(serve.setting, metrics), stop));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

fn router(setting: Setting, metrics: Metrics) -> Router {
    let args = PerformanceArgs {
        enable_webhook_performance_tracking: setting.handler == Handler::Tracked,
        webhook_performance_window: Duration::from_mins(1),
        webhook_slow_request_threshold: Duration::from_millis(500),
        webhook_gc_threshold: setting.gc_threshold,
        webhook_gc_min_interval: Duration::from_secs(1),
    };
    let performance = Performance::new(&args, setting.slots, metrics.clone());
    let webhook = webhook(metrics.clone());
    let router = match (setting.handler, performance.tracked()) {
        (Handler::Constant, _) => constant(),
        (Handler::Webhook, _) | (_, None) => webhook::router(webhook, setting.slots),
        (Handler::Tracked, Some(tracked)) => {
            let slow = args.webhook_slow_request_threshold;
            let tracking = Tracking::new(tracked.tracker, tracked.tasks, slow, metrics);
            webhook::tracked_router(webhook, setting.slots, tracking)
        }
    };
    tokio::spawn(async move { performance.watch(&args).await });
    router
}

fn constant() -> Router {
    const ANSWER: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}"#;
    let answer = async |_body: Bytes| ([(CONTENT_TYPE, "application/json")], ANSWER);
    Router::new().route(webhook::PATH, post(answer))
}

fn webhook(metrics: Metrics) -> Webhook {
    let template = SidecarTemplate {
        image: "kube-booster/sidecar:1".to_owned(),
        report_address: "10.96.0.7:9090".to_owned(),
        report_server_name: "kube-booster-reports.kube-booster-system.svc".to_owned(),
        // As long as that of a CA of our own.
        report_ca: "x".repeat(700),
    };
    Webhook {
        template: watch::Sender::new(Arc::new(template)).subscribe(),
        limits: watch::Sender::new(Limits::default()).subscribe(),
        barriers: watch::Sender::new(Arc::default()).subscribe(),
        metrics,
        own_namespace: "kube-booster-system".into(),
    }
}
