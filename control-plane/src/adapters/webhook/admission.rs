//! `AdmissionReview`s: decoded by borrowing, answered by hand.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use crate::ground::injection::{Decision, Operation};

/// A request for admission.
#[derive(Debug, Deserialize)]
pub(super) struct Request<'a> {
    /// The same over the API server's retries.
    #[serde(borrow)]
    pub(super) uid: Cow<'a, str>,
    /// The object to admit.
    #[serde(borrow)]
    pub(super) object: Option<&'a RawValue>,
    /// Whether nothing comes of it.
    #[serde(default, rename = "dryRun")]
    pub(super) is_dry_run: bool,
    /// Namespace of the object.
    #[serde(borrow, default)]
    pub(super) namespace: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

/// A UID has 36 bytes, a namespace 63; what is longer is no API server's, and would end up in our answers and log.
const MAX_TEXT: usize = 128;

/// Reads a review's request.
pub(super) fn decode(body: &[u8]) -> Result<Request<'_>, serde_json::Error> {
    let request = serde_json::from_slice::<Review<'_>>(body)?.request;
    if request.uid.len() > MAX_TEXT || request.namespace.len() > MAX_TEXT {
        return Err(serde::de::Error::custom("its uid or namespace is too long"));
    }
    Ok(request)
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

/// The answer for `decision`: always allowed.
pub(super) fn answer(uid: &str, decision: &Decision) -> String {
    match decision {
        Decision::NotAsked => encode(uid, &[], &[]),
        Decision::Skipped { warnings, .. } => encode(uid, &[], warnings),
        Decision::Injected { operations, warnings } => encode(uid, operations, warnings),
    }
}

/// The answer where nothing could be decided: allowed, untouched, and said so.
pub(super) fn answer_failure(uid: &str, what: &str) -> String {
    encode(uid, &[], &[format!("pod is not warmed up: {what}")])
}

fn encode(uid: &str, operations: &[Operation], warnings: &[String]) -> String {
    let mut response = Response { uid, allowed: true, warnings, ..Response::default() };
    if !operations.is_empty() {
        response.patch_type = Some("JSONPatch");
        response.patch = Some(BASE64_STANDARD.encode(json!(operations).to_string()));
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string()
}
