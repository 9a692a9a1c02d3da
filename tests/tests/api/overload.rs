//! A webhook that has too much to do makes pods wait, and lets none go without its warm-up.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
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
    webhook::{Caller, TIMEOUT, post, review_of},
};
use tokio::time::{Instant, sleep};

pub(crate) fn trials() -> Vec<Trial> {
    vec![alone(
        "pods whose reviews are shed are tried again and stored with their sidecar",
        3 * SOON,
        shed_and_tried_again,
    )]
}

const PODS: usize = 20;
const SHED: &str = "kube_booster_webhook_shed_total";

async fn shed_and_tried_again() -> anyhow::Result<()> {
    let world = World::start(&["--webhook-max-concurrency=1"]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "overload", json!({})).await?;
    ensure!(container(&create(&pods, &annotated("calm", 8080, &json!({}))).await?).is_ok());
    let (retries, shed) = (retries(&client).await?, world.metric(SHED).await?);

    let flood = Flood::begin(Caller::new(&world, Ipv4Addr::new(127, 0, 0, 66)).await?);
    eventually("a review is shed", SOON, async || Ok((world.metric(SHED).await? > shed).then_some(())))
        .await?;
    let created = try_join_all((0..PODS).map(|number| timed(&pods, number)));
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
    took.sort();
    let tried_again = self::retries(&client).await? - retries;
    println!(
        "{PODS} pods were created in {:?} to {:?}; the webhook shed {} reviews, {tried_again} of the API server's",
        took.first().context("there are pods")?,
        took.last().context("there are pods")?,
        world.metric(SHED).await? - shed,
    );
    ensure!(tried_again > 0.0, "no review of the API server was shed");
    ensure!(took.iter().all(|time| *time < TIMEOUT), "{took:?}");
    Ok(())
}

async fn timed(pods: &Api<Pod>, number: usize) -> anyhow::Result<(Pod, Duration)> {
    let start = Instant::now();
    let pod = create(pods, &annotated(&format!("web-{number}"), 8080, &json!({}))).await?;
    Ok((pod, start.elapsed()))
}

/// How often the API server tried again because of a status 429.
async fn retries(client: &Client) -> anyhow::Result<f64> {
    let metrics = client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
    let series = metrics.lines().filter(|line| {
        line.starts_with("rest_client_request_retries_total{") && line.contains(r#"code="429""#)
    });
    let values: Result<Vec<f64>, _> =
        series.filter_map(|line| line.rsplit(' ').next()).map(str::parse).collect();
    Ok(values?.into_iter().sum())
}

/// Reviews that take long to read, from a thread of its own.
struct Flood {
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Flood {
    fn begin(caller: Caller) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let callers = (0..300).map(|number| {
                    // A few large ones, and many of the size that is still usual.
                    let numbers = if number < 12 { 1_000_000 } else { 25_000 };
                    over_and_over(&caller, numbers, &told)
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

async fn over_and_over(caller: &Caller, numbers: usize, is_over: &AtomicBool) {
    let mut pod = annotated("large", 8080, &json!({}));
    pod["spec"]["numbers"] = vec![1; numbers].into();
    let body = review_of(&pod);
    while !is_over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = caller.connect_tls().await {
            let posting = async {
                while !is_over.load(Ordering::Relaxed)
                    && post(&mut stream, "application/json", &body).await.is_ok()
                {}
            };
            let _ = tokio::time::timeout(TIMEOUT, posting).await;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
