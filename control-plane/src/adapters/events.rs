//! Events on the pods, for `kubectl describe`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use proto::names;
use tokio::{sync::mpsc, time::timeout};
use tracing::{debug, warn};

use crate::ground::observed::PodRef;

/// For one Event.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Notes that wait to be sent; more are dropped, for an Event is never worth a delay.
const QUEUE: usize = 1_024;

/// Longest text that the API server takes.
const MAX_TEXT: usize = 1_024;

/// What a pod's author is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The pod that it is about
    pub pod: PodRef,
    /// `CamelCase`, for programs
    pub reason: &'static str,
    /// One line, for people
    pub text: String,
    /// Whether something went wrong
    pub is_warning: bool,
}

/// What people are told about something else than a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// What it is about
    pub about: ObjectReference,
    /// `CamelCase`, for programs
    pub reason: &'static str,
    /// One line, for people
    pub text: String,
    /// Whether something went wrong
    pub is_warning: bool,
}

/// Where notes are dropped in.
#[derive(Debug, Clone)]
pub struct Notes(mpsc::Sender<Announcement>);

impl Notes {
    /// Sends `note` when there is room; never waits.
    pub fn send(&self, note: Note) {
        let Note { pod, reason, text, is_warning } = note;
        self.announce(Announcement { about: reference(&pod), reason, text, is_warning });
    }

    /// Sends `announcement` when there is room; never waits.
    pub fn announce(&self, announcement: Announcement) {
        if let Err(error) = self.0.try_send(announcement) {
            let Announcement { about, reason, .. } = error.into_inner();
            warn!(about = name(&about), reason, "an Event was dropped, because too many wait");
        }
    }
}

/// A namespace, in which its users find the Event.
#[must_use]
pub fn namespace(name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Namespace".to_owned()),
        namespace: Some(name.to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

/// Our own Deployment.
#[must_use]
pub fn own_deployment(namespace: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some("Deployment".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some("kube-booster".to_owned()),
        ..ObjectReference::default()
    }
}

/// A sender of notes, and the task that brings them to the API server.
pub fn recorder(client: Client) -> (Notes, impl Future<Output = ()>) {
    let (sender, mut receiver) = mpsc::channel::<Announcement>(QUEUE);
    let instance = std::env::var("HOSTNAME").ok();
    let recorder = Recorder::new(client, Reporter { controller: names::FIELD_MANAGER.to_owned(), instance });
    let task = async move {
        while let Some(Announcement { about, reason, text, is_warning }) = receiver.recv().await {
            let event = Event {
                type_: if is_warning { EventType::Warning } else { EventType::Normal },
                reason: reason.to_owned(),
                note: Some(text),
                action: "Warmup".to_owned(),
                secondary: None,
            };
            match timeout(TIMEOUT, recorder.publish(&event, &about)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(about = name(&about), %error, "cannot record an Event"),
                Err(_) => debug!(about = name(&about), "cannot record an Event: no answer"),
            }
        }
    };
    (Notes(sender), task)
}

/// Says `note` unless an Event of this `name` says it already, whichever replica made that.
pub async fn say_once(client: &Client, name: &str, note: &Note) -> kube::Result<()> {
    let events: Api<v1::Event> = Api::namespaced(client.clone(), &note.pod.namespace);
    match timeout(TIMEOUT, events.create(&PostParams::default(), &event(name, note))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Ok(()),
        // The pod's namespace is about to go, and the Event would go with it.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 403 | 404) => {
            debug!(pod = %note.pod, %status, "cannot record an Event");
            Ok(())
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(kube::Error::Service("no answer".into())),
    }
}

fn event(name: &str, note: &Note) -> v1::Event {
    let mut text = note.text.clone();
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    v1::Event {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        event_time: Some(MicroTime(Timestamp::now())),
        type_: Some(if note.is_warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(note.reason.to_owned()),
        note: Some(text),
        action: Some("Warmup".to_owned()),
        regarding: Some(reference(&note.pod)),
        reporting_controller: Some(names::FIELD_MANAGER.to_owned()),
        reporting_instance: Some(
            std::env::var("HOSTNAME").unwrap_or_else(|_| names::FIELD_MANAGER.to_owned()),
        ),
        ..v1::Event::default()
    }
}

fn name(about: &ObjectReference) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{} {}/{}", part(&about.kind), part(&about.namespace), part(&about.name))
}

fn reference(pod: &PodRef) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.to_string()),
        name: Some(pod.name.to_string()),
        uid: Some(pod.uid.to_string()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_where_the_api_server_would_refuse_it() {
        let pod = PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() };
        let note = Note { pod, reason: "InjectionSkipped", text: "ä".repeat(600) + "!", is_warning: true };
        let event = event("once", &note);
        assert_eq!(event.note.map(|note| note.len()), Some(1_024));
        assert_eq!(event.regarding.and_then(|pod| pod.uid).as_deref(), Some("u1"));
    }
}
