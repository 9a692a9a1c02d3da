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

/// Where notes are dropped in.
#[derive(Debug, Clone)]
pub struct Notes(mpsc::Sender<Note>);

impl Notes {
    /// Sends `note` when there is room; never waits.
    pub fn send(&self, note: Note) {
        if let Err(error) = self.0.try_send(note) {
            let note = error.into_inner();
            warn!(pod = %note.pod, reason = note.reason, "an Event was dropped, because too many wait");
        }
    }
}

/// A sender of notes, and the task that brings them to the API server.
pub fn recorder(client: Client) -> (Notes, impl Future<Output = ()>) {
    let (sender, mut receiver) = mpsc::channel::<Note>(QUEUE);
    let instance = std::env::var("HOSTNAME").ok();
    let recorder = Recorder::new(client, Reporter { controller: names::FIELD_MANAGER.to_owned(), instance });
    let task = async move {
        while let Some(note) = receiver.recv().await {
            let event = Event {
                type_: if note.is_warning { EventType::Warning } else { EventType::Normal },
                reason: note.reason.to_owned(),
                note: Some(note.text),
                action: "Warmup".to_owned(),
                secondary: None,
            };
            match timeout(TIMEOUT, recorder.publish(&event, &reference(&note.pod))).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(pod = %note.pod, %error, "cannot record an Event"),
                Err(_) => debug!(pod = %note.pod, "cannot record an Event: no answer"),
            }
        }
    };
    (Notes(sender), task)
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
