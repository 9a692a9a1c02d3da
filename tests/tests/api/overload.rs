//! A webhook that has too much to do makes pods wait, and lets none go without its warm-up.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    pods::{annotated, create, namespace},
    sidecar::container,
    trials::alone,
    webhook::{Caller, post, review_of},
};
use tokio::time::{Instant, sleep};

pub(crate) fn trials() -> Vec<Trial> {
    vec![alone(
        "pods whose reviews are shed are tried again and stored with their sidecar",
        3 * SOON,
        shed_and_tried_again,
    )]
}

/// Created at once.
const PODS: usize = 20;
/// A quick machine may answer a whole flood in time.
const ROUNDS: usize = 5;
/// Callers of a flood; the webhook keeps 512 connections.
const CALLERS: usize = 400;
const SHED: &str = "kube_booster_webhook_shed_total";

async fn shed_and_tried_again() -> anyhow::Result<()> {
    let world = World::start(&["--webhook-max-concurrency=1"]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "overload", json!({})).await?;
    ensure!(container(&create(&pods, &annotated("calm", 8080, &json!({}))).await?).is_ok());

    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        seen.merge(flooded(&world, &pods, round).await?);
        seen.sent_back = sent_back(&client, world.ports.webhook).await?;
        if seen.sent_back > 0.0 {
            break;
        }
    }
    println!(
        "{} pods were created in up to {:?}; the webhook shed {} reviews, {} of them the API server's",
        seen.pods,
        seen.longest,
        world.metric(SHED).await?,
        seen.sent_back,
    );
    ensure!(seen.sent_back > 0.0, "no review of the API server was shed");
    let waited = world.metric("kube_booster_webhook_queue_wait_seconds_count").await?;
    ensure!(waited > 0.0, "what is shed has waited");
    Ok(())
}

/// What became of pods that were created during floods.
#[derive(Default)]
struct Seen {
    pods: usize,
    longest: Duration,
    sent_back: f64,
}

impl Seen {
    fn merge(&mut self, created: Vec<Duration>) {
        self.pods += created.len();
        self.longest = created.into_iter().chain([self.longest]).max().unwrap_or_default();
    }
}

/// Creates pods while the webhook is flooded, and gives how long each took; all of them have their sidecar.
async fn flooded(world: &World, pods: &Api<Pod>, round: usize) -> anyhow::Result<Vec<Duration>> {
    let shed = world.metric(SHED).await?;
    let flood = Flood::begin(Caller::new(world, Ipv4Addr::new(127, 0, 0, 66)).await?);
    eventually("a review is shed", SOON, async || Ok((world.metric(SHED).await? > shed).then_some(())))
        .await?;
    let created = try_join_all((0..PODS).map(|number| timed(pods, round * PODS + number)));
    // Long enough for pods to be shed, and over when they are tried again.
    let calm = async {
        sleep(Duration::from_millis(1_500)).await;
        flood.end().await
    };
    let (created, calm) = futures::join!(created, calm);
    calm?;
    let mut took = Vec::new();
    for (pod, time) in created? {
        ensure!(container(&pod).is_ok(), "a pod was let through without a sidecar after {time:?}");
        took.push(time);
    }
    Ok(took)
}

async fn timed(pods: &Api<Pod>, number: usize) -> anyhow::Result<(Pod, Duration)> {
    let start = Instant::now();
    let pod = create(pods, &annotated(&format!("web-{number}"), 8080, &json!({}))).await?;
    Ok((pod, start.elapsed()))
}

/// How many of its calls of the webhook the API server saw answered with status 429.
async fn sent_back(client: &Client, webhook_port: u16) -> anyhow::Result<f64> {
    let metrics = client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
    let series =
        format!(r#"rest_client_requests_total{{code="429",host="127.0.0.1:{webhook_port}",method="POST"}} "#);
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    Ok(value.map_or(Ok(0.0), str::parse)?)
}

/// Reviews that take long to read, from a thread of its own.
struct Flood {
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Flood {
    /// A few large reviews, and many of a size that is still usual: all that the webhook takes at once, so that none is
    /// broken off while it is sent.
    fn begin(caller: Caller) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let (large, usual) = (body(1_400_000), body(30_000));
                let callers = (0..CALLERS).map(|number| {
                    let body = if number < 4 { &large } else { &usual };
                    over_and_over(&caller, body, &told)
                });
                join_all(callers).await;
            });
        });
        Self { is_over, thread }
    }

    async fn end(self) -> anyhow::Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        ended.map_err(|_| anyhow::anyhow!("the flood panicked"))
    }
}

fn body(numbers: usize) -> Vec<u8> {
    let mut pod = annotated("large", 8080, &json!({}));
    pod["spec"]["numbers"] = vec![1; numbers].into();
    review_of(&pod)
}

async fn over_and_over(caller: &Caller, body: &[u8], is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let Ok(mut stream) = caller.connect_tls().await else { continue };
        while !is_over.load(Ordering::Relaxed) && post(&mut stream, "application/json", body).await.is_ok() {}
    }
}
