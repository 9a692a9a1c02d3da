//! Changes of a single object that others may make under our hands.

use std::fmt::Debug;

use futures::{Stream, StreamExt};
use kube::{
    Api, Resource,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tracing::warn;

/// Says so each time that the object `name` is another or gone, without its content; taken up again by itself.
pub fn of<K>(objects: Api<PartialObjectMeta<K>>, name: &'static str) -> impl Stream<Item = ()> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher(objects, only).default_backoff();
    events.filter_map(move |event| async move {
        match event {
            Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitDone) => Some(()),
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
            Err(error) => {
                warn!(%error, kind = %K::kind(&()), name, "a watch was interrupted; it is looked at each minute meanwhile");
                None
            }
        }
    })
}
