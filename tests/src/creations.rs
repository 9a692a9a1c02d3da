//! Many annotated pods, created one after the other by clients in parallel, and what the webhook made of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::PostParams};
use proto::names;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{pods::annotated, sidecar::container};

/// How to create pods.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// At least so many in all
    pub pods: usize,
    /// Clients at once
    pub clients: usize,
    /// Between two creations of one client
    pub pause: Duration,
}

/// What became of the creations.
#[derive(Debug, Clone, Default)]
pub struct Creations {
    /// Pods that the API server stored
    pub created: usize,
    /// Names of those without our gate or sidecar, with the second at which they were created
    pub untouched: Vec<(String, f64)>,
    /// From the first creation to the last answer
    pub duration: Duration,
    /// How long each took, shortest first
    pub latencies: Vec<Duration>,
}

impl Creations {
    /// The latency that `share` (0 to 1) of the creations did not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let last = self.latencies.len().checked_sub(1)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
        let index = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        self.latencies.get(index).copied()
    }
}

/// Creates pods in `namespace`, at least as many as `load` asks for, and until `during` has ended. No scheduler takes
/// them.
pub async fn create_during(
    client: &Client,
    namespace: &str,
    load: Load,
    during: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Creations> {
    let (next, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let start = Instant::now();
    let clients = (0..load.clients).map(|_| {
        let pods = Api::namespaced(client.clone(), namespace);
        let (next, is_over) = (Arc::clone(&next), Arc::clone(&is_over));
        tokio::spawn(async move { one_client(&pods, load, &next, &is_over, start).await })
    });
    let clients = try_join_all(clients.collect::<Vec<_>>());
    let during = async {
        let ended = during.await;
        is_over.store(true, Ordering::Relaxed);
        ended
    };
    let (clients, ended) = tokio::join!(clients, during);
    ended?;
    let mut all = Creations { duration: start.elapsed(), ..Creations::default() };
    for one in clients.context("a client broke off")? {
        let one = one?;
        all.created += one.created;
        all.untouched.extend(one.untouched);
        all.latencies.extend(one.latencies);
    }
    all.latencies.sort_unstable();
    Ok(all)
}

async fn one_client(
    pods: &Api<Pod>,
    load: Load,
    next: &AtomicUsize,
    is_over: &AtomicBool,
    start: Instant,
) -> anyhow::Result<Creations> {
    let mut done = Creations::default();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= load.pods && is_over.load(Ordering::Relaxed) {
            return Ok(done);
        }
        let name = format!("load-{index}");
        let body = serde_json::from_value(unscheduled(&name))?;
        let sent = Instant::now();
        let pod = pods.create(&PostParams::default(), &body).await?;
        done.latencies.push(sent.elapsed());
        done.created += 1;
        if !is_injected(&pod) {
            done.untouched.push((name, sent.duration_since(start).as_secs_f64()));
        }
        sleep(load.pause).await;
    }
}

fn unscheduled(name: &str) -> Value {
    let mut pod = annotated(name, 8080, &json!({}));
    pod["spec"]["schedulingGates"] = json!([{"name": "example.com/never"}]);
    pod
}

fn is_injected(pod: &Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_ref());
    let has_gate = gates.into_iter().flatten().any(|gate| gate.condition_type == names::CONDITION);
    has_gate && container(pod).is_ok()
}
