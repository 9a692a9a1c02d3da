//! Events on the pods, for `kubectl describe`.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
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
