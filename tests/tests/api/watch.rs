//! People and programs watch reports come.

use std::{process::Command, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use libtest_mimic::Trial;
use proto::v1::{
    State, WatchReportsRequest, WatchReportsResponse, report_service_client::ReportServiceClient,
    watch_reports_response::Event,
};
use serde_json::{Value, json};
use tests::{
    control_plane::{World, service_account_token},
    patience::{SOON, eventually},
    pods::{annotated, create, delete, namespace},
    programs,
    reports::{channel, endpoint, good_report, people, published_ca, submit},
    sidecar::pod_token,
    signer::{Parts, Signer},
    trials::{alone, trial},
};
use tonic::{Code, Request, Status, Streaming, transport::Channel};

const AUDIENCE: &str = "kube-booster.io";
/// Longer than it takes to notice that a right is gone.
const LONG: Duration = Duration::from_mins(2);
/// As many as the report server serves.
const WATCHERS: usize = 64;

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial("a watch gives a snapshot and then what changes", SOON, world, changes),
        trial("a watch follows the pods that it selects", SOON, world, selected),
        trial("only those may watch who have the right", SOON, world, entitled),
        trial("a watch ends with its token", SOON, world, ends_with_its_token),
        trial("a watch ends soon after the right to it", LONG, world, ends_with_its_right),
        trial("grpcurl prints a watch", SOON, world, grpcurl),
    ]
}

pub(crate) fn trials_alone() -> Vec<Trial> {
    vec![alone(
        "watchers are bounded, a slow one is ended, and all are when the control plane ends",
        LONG,
        bounded,
    )]
}

/// A token of a new ServiceAccount that may do `verbs` with the reports of `namespace_`.
async fn viewer(world: &World, namespace_: &str, verbs: &str) -> anyhow::Result<String> {
    let kubectl =
        |arguments: &[&str]| world.api.kubectl(&[&["--namespace", namespace_, "create"], arguments].concat());
    kubectl(&["serviceaccount", "viewer"])?;
    // The API has no such resource, so kubectl would not make a rule of it.
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "viewer", "namespace": namespace_},
        "rules": [{"apiGroups": ["kube-booster.io"], "resources": ["warmupreports"],
            "verbs": verbs.split(',').collect::<Vec<_>>()}],
    });
    let file = world.api.folder().join(format!("{namespace_}-role.json"));
    std::fs::write(&file, role.to_string())?;
    kubectl(&["-f", &file.display().to_string()])?;
    let account = format!("--serviceaccount={namespace_}:viewer");
    kubectl(&["rolebinding", "viewer", "--role=viewer", &account])?;
    service_account_token(&world.api.client().await?, namespace_, "viewer", Some(AUDIENCE)).await
}

fn asked(namespace: &str, labels: &str) -> WatchReportsRequest {
    WatchReportsRequest { namespace: namespace.to_owned(), label_selector: labels.to_owned() }
}

fn unbounded<T>(message: T, token: &str) -> anyhow::Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    Ok(request)
}

async fn watch(
    client: &mut ReportServiceClient<Channel>,
    asked: WatchReportsRequest,
    token: &str,
) -> Result<Streaming<WatchReportsResponse>, Status> {
    let request = unbounded(asked, token).map_err(|error| Status::internal(error.to_string()))?;
    Ok(client.watch_reports(request).await?.into_inner())
}

/// The next event in a short form, such as `web: WarmupSucceeded`.
async fn told(stream: &mut Streaming<WatchReportsResponse>) -> anyhow::Result<String> {
    let message = tokio::time::timeout(SOON, stream.message()).await??.context("a message")?;
    let name = |pod: Option<proto::v1::PodReference>| pod.map(|pod| pod.name).unwrap_or_default();
    Ok(match message.event.context("an event")? {
        Event::Report(report) => {
            let state = report.state();
            ensure!((state == State::Complete) == report.result.is_some());
            format!("{}: {}", name(report.pod), if state == State::Pending { "-" } else { &report.reason })
        }
        Event::Gone(pod) => format!("{} is gone", name(Some(pod))),
        Event::SnapshotComplete(_) => "complete".to_owned(),
    })
}

/// Why the stream ends, whatever it says before.
async fn end(stream: &mut Streaming<WatchReportsResponse>, within: Duration) -> anyhow::Result<Status> {
    let end = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok(""),
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(within, end).await.context("an end of the stream")
}

fn labelled(name: &str, app: &str) -> Value {
    let mut pod = annotated(name, 8080, &json!({}));
    pod["metadata"]["labels"] = json!({"app": app});
    pod
}

async fn changes(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "watched", json!({})).await?;
    let done = create(&pods, &annotated("a-done", 8080, &json!({}))).await?;
    let next = create(&pods, &annotated("b-next", 8080, &json!({}))).await?;
    submit(&world, &pod_token(&client, &done, AUDIENCE).await?, &good_report()).await??;
    let token = viewer(&world, "watched", "watch").await?;
    let mut stream = watch(&mut people(&world).await?, asked("watched", ""), &token).await?;
    for expected in ["a-done: WarmupSucceeded", "b-next: -", "complete"] {
        ensure!(told(&mut stream).await? == expected);
    }
    submit(&world, &pod_token(&client, &next, AUDIENCE).await?, &good_report()).await??;
    ensure!(told(&mut stream).await? == "b-next: WarmupSucceeded");
    // What changes in the pod beside its report is no news.
    world.api.kubectl(&["--namespace", "watched", "annotate", "pod", "a-done", "other=1"])?;
    create(&pods, &annotated("c-new", 8080, &json!({}))).await?;
    ensure!(told(&mut stream).await? == "c-new: -");
    delete(&pods, "a-done").await?;
    ensure!(told(&mut stream).await? == "a-done is gone");
    Ok(())
}

async fn selected(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "selected", json!({})).await?;
    create(&pods, &labelled("shop", "shop")).await?;
    create(&pods, &labelled("other", "other")).await?;
    let token = viewer(&world, "selected", "watch").await?;
    let mut people = people(&world).await?;
    let mut stream = watch(&mut people, asked("selected", "app in (shop)"), &token).await?;
    ensure!((told(&mut stream).await?, told(&mut stream).await?) == ("shop: -".into(), "complete".into()));
    world.api.kubectl(&["--namespace", "selected", "label", "--overwrite", "pod", "other", "app=shop"])?;
    ensure!(told(&mut stream).await? == "other: -");
    world.api.kubectl(&["--namespace", "selected", "label", "--overwrite", "pod", "shop", "app=no"])?;
    ensure!(told(&mut stream).await? == "shop is gone");
    let mut bad = watch(&mut people, asked("selected", "app in shop"), &token).await?;
    let status = end(&mut bad, SOON).await?;
    ensure!(status.code() == Code::InvalidArgument, "{status:?}");
    Ok(())
}

async fn entitled(world: Arc<World>) -> anyhow::Result<()> {
    namespace(&world.api.client().await?, "may-list", json!({})).await?;
    namespace(&world.api.client().await?, "may-watch", json!({})).await?;
    let lister = viewer(&world, "may-list", "get,list").await?;
    let watcher = viewer(&world, "may-watch", "watch").await?;
    let mut people = people(&world).await?;
    for (namespace, token) in [("may-list", &lister), ("may-list", &watcher), ("", &watcher)] {
        let refused = watch(&mut people, asked(namespace, ""), token).await.err().context("a refusal")?;
        ensure!(refused.code() == Code::PermissionDenied, "{namespace}: {refused:?}");
    }
    let odd = watch(&mut people, asked("a/b", ""), &watcher).await.err().context("a refusal")?;
    ensure!(odd.code() == Code::InvalidArgument, "{odd:?}");
    let nobody = watch(&mut people, asked("may-watch", ""), "nonsense").await.err().context("a refusal")?;
    ensure!(nobody.code() == Code::Unauthenticated, "{nobody:?}");
    Ok(())
}

async fn ends_with_its_token(world: Arc<World>) -> anyhow::Result<()> {
    namespace(&world.api.client().await?, "brief", json!({})).await?;
    let parts = Parts::of(&viewer(&world, "brief", "watch").await?)?;
    let brief = parts.claiming("exp", Timestamp::now().as_second() + 4);
    let brief = Signer::of(&world.api)?.sign(&brief)?;
    let mut stream = watch(&mut people(&world).await?, asked("brief", ""), &brief).await?;
    ensure!(told(&mut stream).await? == "complete");
    let status = end(&mut stream, SOON).await?;
    ensure!(status.code() == Code::Unauthenticated && status.message().contains("expired"), "{status:?}");
    Ok(())
}

async fn ends_with_its_right(world: Arc<World>) -> anyhow::Result<()> {
    namespace(&world.api.client().await?, "no-more", json!({})).await?;
    let token = viewer(&world, "no-more", "watch").await?;
    let mut stream = watch(&mut people(&world).await?, asked("no-more", ""), &token).await?;
    ensure!(told(&mut stream).await? == "complete");
    world.api.kubectl(&["--namespace", "no-more", "delete", "rolebinding", "viewer"])?;
    let status = end(&mut stream, LONG).await?;
    ensure!(status.code() == Code::PermissionDenied, "{status:?}");
    Ok(())
}

async fn grpcurl(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "grpcurl-watch", json!({})).await?;
    create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = viewer(&world, "grpcurl-watch", "watch").await?;
    let ca = world.api.folder().join("watch-ca.crt");
    std::fs::write(&ca, published_ca(&client).await?)?;
    let output = Command::new(programs::kubernetes("grpcurl")?)
        .arg("-cacert")
        .arg(&ca)
        .args(["-max-time", "3", "-H", &format!("authorization: Bearer {token}")])
        .args(["-d", r#"{"namespace": "grpcurl-watch"}"#, &format!("localhost:{}", world.ports.report)])
        .arg("kube_booster.v1.ReportService/WatchReports")
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let (report, complete) =
        (text.find(r#""state": "STATE_PENDING""#), text.find(r#""snapshotComplete": {}"#));
    ensure!(report.is_some() && report < complete, "{text}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(String::from_utf8_lossy(&output.stderr).contains("DeadlineExceeded"));
    Ok(())
}

async fn bounded() -> anyhow::Result<()> {
    let mut world = World::start(&[]).await?;
    let pods = namespace(&world.api.client().await?, "bounded", json!({})).await?;
    let names: Vec<Value> =
        (0..220).map(|i| annotated(&format!("{i}-{}", "x".repeat(220)), 80, &json!({}))).collect();
    for some in names.chunks(20) {
        futures::future::try_join_all(some.iter().map(|pod| create(&pods, pod))).await?;
    }
    let token = viewer(&world, "bounded", "watch").await?;
    let mut streams = Vec::new();
    let mut people = ReportServiceClient::new(channel(&world).await?);
    for _ in 1..WATCHERS {
        let mut stream = watch(&mut people, asked("bounded", "app=none"), &token).await?;
        ensure!(told(&mut stream).await? == "complete");
        streams.push(stream);
    }
    // One that takes a kilobyte and then nothing more.
    let narrow = endpoint(&world).await?.initial_stream_window_size(1_024);
    let mut slow =
        watch(&mut ReportServiceClient::new(narrow.connect().await?), asked("bounded", ""), &token).await?;
    let gauge = format!("kube_booster_report_watchers {WATCHERS}");
    ensure!(world.metrics().await?.contains(&gauge));
    let full = watch(&mut people, asked("bounded", "app=none"), &token).await.err().context("a refusal")?;
    ensure!(full.code() == Code::Unavailable && full.message().contains("watch"), "{full:?}");
    let ended = r#"kube_booster_report_calls_refused_total{reason="slow_watcher"} 1"#;
    eventually("an end of the slow one", SOON, async || {
        Ok(world.metrics().await?.contains(ended).then_some(()))
    })
    .await?;
    let status = end(&mut slow, SOON).await?;
    ensure!(status.code() == Code::ResourceExhausted, "{status:?}");
    drop((slow, streams));
    eventually("places that are free again", SOON, async || {
        Ok(world.metrics().await?.contains("kube_booster_report_watchers 0").then_some(()))
    })
    .await?;
    let mut last = watch(&mut people, asked("bounded", "app=none"), &token).await?;
    ensure!(told(&mut last).await? == "complete");
    ensure!(world.terminate_control_plane().await?.success());
    let status = end(&mut last, SOON).await?;
    ensure!(status.code() == Code::Unavailable && status.message().contains("stopping"), "{status:?}");
    Ok(())
}
