//! The watch of all pods that bear our label, trimmed before anything is kept.

mod live;

use futures::{Stream, StreamExt};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use proto::names;
use tokio::sync::mpsc;
use tracing::warn;

use self::live::LivePod;
use crate::ground::observed::{Observed, PodRef};

/// Pods of one page of the list. A page is in memory whole, and takes some 80 kB for each pod while it is read.
const PAGE: u32 = 50;

/// News of the labelled pods.
#[derive(Debug)]
pub enum News {
    /// A list of all pods begins.
    ListBegins,
    /// The list is complete.
    ListEnds,
    /// A pod is there or has changed.
    Applied(Box<Observed>),
    /// The pod with this UID is gone.
    Deleted(Box<str>),
    /// All closed gates that are on pods without our label, as the leader's scan found them.
    Strays(Vec<Observed>),
}

/// Sends news until the receiver is dropped; the watch is taken up again by itself, with backoff.
pub async fn watch(client: Client, news: mpsc::Sender<News>) {
    let mut events = std::pin::pin!(events(client));
    while let Some(event) = events.next().await {
        let sent = match event {
            Ok(watcher::Event::Init) => news.send(News::ListBegins).await,
            Ok(watcher::Event::InitDone) => news.send(News::ListEnds).await,
            Ok(watcher::Event::InitApply(pod) | watcher::Event::Apply(pod)) => match trim(pod) {
                Some(observed) => news.send(News::Applied(Box::new(observed))).await,
                None => continue,
            },
            Ok(watcher::Event::Delete(pod)) => match pod.metadata.uid {
                Some(uid) => news.send(News::Deleted(uid.into())).await,
                None => continue,
            },
            Err(error) => {
                warn!(%error, "the watch of pods was interrupted");
                continue;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn events(client: Client) -> impl Stream<Item = watcher::Result<watcher::Event<LivePod>>> {
    let pods: Api<LivePod> = Api::all(client);
    let config =
        watcher::Config::default().labels(&format!("{}=true", names::INJECTED_LABEL)).page_size(PAGE);
    watcher(pods, config).default_backoff()
}

fn trim(pod: LivePod) -> Option<Observed> {
    let metadata = pod.metadata;
    let reference = PodRef {
        namespace: metadata.namespace?.into(),
        name: metadata.name?.into(),
        uid: metadata.uid?.into(),
    };
    let annotation =
        metadata.annotations.as_ref().and_then(|annotations| annotations.get(names::REPORT_ANNOTATION));
    Some(Observed::trim(
        reference,
        metadata.resource_version.unwrap_or_default().into(),
        annotation.map(String::as_str),
        pod.spec,
        &pod.status.unwrap_or_default(),
    ))
}
