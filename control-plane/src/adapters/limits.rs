//! The watch of all `LimitRanges` and `ResourceQuotas`, trimmed before anything is kept.

use std::{fmt::Debug, mem};

use futures::{Stream, StreamExt, future, stream};
use k8s_openapi::api::core::v1;
use kube::{
    Api, Client,
    api::{ApiResource, ObjectMeta},
    core::{NotUsed, Object},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::warn;

use crate::ground::limits::{Index, Limits, QuotaSpec, QuotaStatus, RangeSpec};

/// Objects of one page of the list; bounds what is in memory at once.
const PAGE: u32 = 500;

/// One kind of limits, as the API server has it and as the index keeps it.
struct Kind<S, U, T> {
    resource: ApiResource,
    index: fn(&mut Limits) -> &mut Index<T>,
    trim: fn(S, Option<U>) -> T,
}

type Make = Box<dyn FnOnce(&mut Limits) + Send>;

/// A change of the index, ready to be made.
struct Change {
    make: Make,
    /// The kind of which all objects are known now.
    listed: Option<String>,
}

/// Keeps `limits` up to date until nobody looks at them any more; drops `synced` once both lists are complete. The
/// watches are taken up again by themselves, with backoff.
pub async fn watch(client: Client, limits: watch::Sender<Limits>, synced: impl Send) {
    let ranges = Kind {
        resource: ApiResource::erase::<v1::LimitRange>(&()),
        index: |limits| &mut limits.ranges,
        trim: |spec: RangeSpec, _: Option<NotUsed>| spec.into(),
    };
    let quotas = Kind {
        resource: ApiResource::erase::<v1::ResourceQuota>(&()),
        index: |limits| &mut limits.quotas,
        trim: |spec: QuotaSpec, status: Option<QuotaStatus>| (spec, status.unwrap_or_default()).into(),
    };
    let mut waiting = vec![ranges.resource.kind.clone(), quotas.resource.kind.clone()];
    let mut synced = Some(synced);
    let mut changes =
        stream::select(changes(client.clone(), ranges).boxed(), changes(client, quotas).boxed());
    while let Some(Change { make, listed }) = changes.next().await {
        limits.send_modify(make);
        waiting.retain(|kind| Some(kind) != listed.as_ref());
        if waiting.is_empty() {
            synced.take();
        }
        if limits.is_closed() {
            return;
        }
    }
}

fn changes<S, U, T>(client: Client, kind: Kind<S, U, T>) -> impl Stream<Item = Change>
where
    S: Clone + Debug + DeserializeOwned + Send + 'static,
    U: Clone + Debug + Default + DeserializeOwned + Send + 'static,
    T: Clone + Send + 'static,
{
    let all: Api<Object<S, U>> = Api::all_with(client, &kind.resource);
    let events = watcher(all, watcher::Config::default().page_size(PAGE)).default_backoff();
    let mut list = Vec::new();
    events.filter_map(move |event| future::ready(change(&kind, &mut list, event)))
}

fn change<S: Clone, U: Clone, T: Clone + Send + 'static>(
    kind: &Kind<S, U, T>,
    list: &mut Vec<(Box<str>, Box<str>, T)>,
    event: watcher::Result<Event<Object<S, U>>>,
) -> Option<Change> {
    let (index, trim) = (kind.index, kind.trim);
    let trimmed = |object: Object<S, U>| {
        let (namespace, name) = named(object.metadata)?;
        Some((namespace, name, trim(object.spec, object.status)))
    };
    let (make, listed): (Make, _) = match event {
        Ok(Event::Init) => {
            list.clear();
            return None;
        }
        Ok(Event::InitApply(object)) => {
            list.extend(trimmed(object));
            return None;
        }
        Ok(Event::InitDone) => {
            let all = mem::take(list);
            (Box::new(move |limits| index(limits).reset(all)), Some(kind.resource.kind.clone()))
        }
        Ok(Event::Apply(object)) => {
            let (namespace, name, object) = trimmed(object)?;
            (Box::new(move |limits| index(limits).apply(&namespace, &name, object)), None)
        }
        Ok(Event::Delete(object)) => {
            let (namespace, name) = named(object.metadata)?;
            (Box::new(move |limits| index(limits).delete(&namespace, &name)), None)
        }
        Err(error) => {
            warn!(%error, kind = kind.resource.kind, "a watch was interrupted");
            return None;
        }
    };
    Some(Change { make, listed })
}

fn named(metadata: ObjectMeta) -> Option<(Box<str>, Box<str>)> {
    Some((metadata.namespace?.into(), metadata.name?.into()))
}
