//! What the sidecar is to do, as the webhook wrote it into the container's environment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::method::GrpcMethod;

/// The version of the JSON form that this crate writes and reads.
pub const VERSION: u32 = 1;
/// Most requests of a warm-up (the webhook refuses more; the sidecar clamps).
pub const MAX_REQUESTS: u32 = 12_000;
/// Longest warm-up.
pub const MAX_DURATION: Duration = Duration::from_mins(5);
/// Most requests in flight at once, and most connections.
pub const MAX_CONCURRENCY: u32 = 64;
/// Most further tries of a request whose connection failed.
pub const MAX_RETRIES: u32 = 10;

/// A warm-up: steps, one after the other, in a shape, within limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// W3C trace id, 32 hexadecimal digits, the same over retries of one admission.
    pub trace_id: String,
    /// Port of the app.
    pub port: u16,
    /// What to send.
    pub steps: Vec<Step>,
    /// When to send it.
    pub shape: Shape,
    /// When it is done.
    #[serde(default, skip_serializing_if = "Until::is_default")]
    pub until: Until,
    /// What bounds it.
    pub limits: Limits,
    /// How to tell that the app answers.
    pub wait: Probe,
}

/// A number of requests that cycle round robin through a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The requests to cycle through; never empty.
    pub requests: Vec<Request>,
    /// How many to send in all.
    pub count: u32,
}

/// One request to the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// How it travels.
    #[serde(default)]
    pub protocol: Protocol,
    /// HTTP method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query, with the leading `/`.
    pub path: String,
    /// Headers beside our own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Body, sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What to call, for [`Protocol::Grpc`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcCall>,
}

fn get() -> String {
    "GET".to_owned()
}

impl Request {
    /// A GET of `path` over plain HTTP/1.1.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            protocol: Protocol::Http,
            method: get(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
            grpc: None,
        }
    }

    /// A unary call of `method` with the JSON message `payload`.
    #[must_use]
    pub fn call(method: &GrpcMethod, payload: impl Into<String>) -> Self {
        Self {
            protocol: Protocol::Grpc,
            method: "POST".to_owned(),
            grpc: Some(GrpcCall { method: method.to_string(), payload: payload.into() }),
            ..Self::get(method.path())
        }
    }
}

/// How a request travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 in clear text.
    #[default]
    Http,
    /// HTTP over TLS, certificate not verified (as the kubelet probes).
    Https,
    /// HTTP/2 in clear text, with prior knowledge.
    H2c,
    /// A unary gRPC call.
    Grpc,
}

/// A header of a request or of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Field name.
    pub name: String,
    /// Field value.
    pub value: String,
}

/// A unary gRPC call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrpcCall {
    /// `package.Service/Method`, a [`GrpcMethod`](crate::method::GrpcMethod).
    pub method: String,
    /// The message as a JSON object.
    pub payload: String,
}

/// When requests leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Shape {
    /// Open loop: the i-th of n requests leaves at i·duration/n.
    Paced {
        /// Milliseconds over which the requests are spread.
        duration_ms: u64,
        /// Milliseconds in which the rate rises linearly from nothing; the requests and their duration stay the same.
        #[serde(default, skip_serializing_if = "is_zero")]
        ramp_ms: u64,
    },
    /// Each as soon as a slot is free.
    BackToBack {
        /// Milliseconds after which no request is sent any more.
        timeout_ms: u64,
    },
}

/// What ends a warm-up, beside its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Until {
    /// All requests were sent.
    #[default]
    Count,
    /// The latency has become stable.
    Stable,
}

impl Until {
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over fields by reference
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over fields by reference
fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over fields by reference
fn is_one(number: &u32) -> bool {
    *number == 1
}

impl Shape {
    /// The time that the requests take at most to be sent, clamped to [`MAX_DURATION`].
    #[must_use]
    pub fn duration(self) -> Duration {
        let (Self::Paced { duration_ms: ms, .. } | Self::BackToBack { timeout_ms: ms }) = self;
        Duration::from_millis(ms).min(MAX_DURATION)
    }
}

/// What bounds a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Requests in flight at most.
    pub concurrency: u32,
    /// Connections that the requests are spread over at least, each a socket of its own.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub connections: u32,
    /// Further tries of a request whose connection failed, where its method is idempotent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// Share of requests that must succeed, 0 to 1.
    pub success_threshold: f64,
}

impl Default for Limits {
    /// As pods without annotations have them: 64 at once, one connection, no retries, half must succeed.
    fn default() -> Self {
        Self { concurrency: MAX_CONCURRENCY, connections: 1, retries: 0, success_threshold: 0.5 }
    }
}

/// How to tell that the app answers. A `host` that a pod's probe may name is never dialled and so not carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Probe {
    /// 200–399 on a GET means that it does.
    HttpGet {
        /// Port to ask.
        port: u16,
        /// Path and query.
        path: String,
        /// [`Protocol::Http`] or [`Protocol::Https`].
        protocol: Protocol,
        /// Headers of the probe.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<Header>,
    },
    /// An accepted connection means that it does.
    TcpSocket {
        /// Port to connect to.
        port: u16,
    },
    /// `SERVING` from the gRPC health service means that it does.
    Grpc {
        /// Port to ask.
        port: u16,
        /// Service to ask for; empty: the server as a whole.
        service: String,
    },
}

/// Why a plan could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not the JSON of a plan.
    #[error("the plan is not readable")]
    Unreadable(#[source] serde_json::Error),
    /// Written by a newer or unknown program.
    #[error("the plan has version {found}, and this sidecar knows version {VERSION}")]
    UnknownVersion {
        /// The version in the plan.
        found: u32,
    },
    /// Nothing to do.
    #[error("the plan has no request to send")]
    Empty,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Plan {
    /// Reads the JSON form. Unknown fields are ignored, counts and limits are clamped to this module's maxima.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let Versioned { version } = serde_json::from_str(text).map_err(PlanError::Unreadable)?;
        if version != VERSION {
            return Err(PlanError::UnknownVersion { found: version });
        }
        let mut plan: Self = serde_json::from_str(text).map_err(PlanError::Unreadable)?;
        plan.clamp();
        if plan.steps.is_empty() || plan.steps.iter().any(|step| step.requests.is_empty() || step.count == 0)
        {
            return Err(PlanError::Empty);
        }
        Ok(plan)
    }

    /// Reads a value of `spec.containers[*].env`, in which each `$` is doubled against the kubelet's expansion.
    pub fn from_env_value(value: &str) -> Result<Self, PlanError> {
        Self::from_json(&value.replace("$$", "$"))
    }

    /// The JSON form.
    ///
    /// # Panics
    /// Never: all keys are text and all numbers are finite or written as null.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan has only text keys")
    }

    /// The JSON form as the value of an environment variable: each `$` doubled, so that the kubelet expands nothing.
    #[must_use]
    pub fn to_env_value(&self) -> String {
        self.to_json().replace('$', "$$")
    }

    /// Requests over all steps.
    #[must_use]
    pub fn request_count(&self) -> u32 {
        self.steps.iter().map(|step| step.count).sum()
    }

    fn clamp(&mut self) {
        let mut left = MAX_REQUESTS;
        for step in &mut self.steps {
            step.count = step.count.min(left);
            left -= step.count;
        }
        self.steps.retain(|step| step.count > 0);
        self.limits.concurrency = self.limits.concurrency.clamp(1, MAX_CONCURRENCY);
        self.limits.connections = self.limits.connections.clamp(1, MAX_CONCURRENCY);
        self.limits.retries = self.limits.retries.min(MAX_RETRIES);
        self.limits.success_threshold = self.limits.success_threshold.clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn plan() -> Plan {
        Plan {
            version: VERSION,
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            port: 8080,
            steps: vec![Step { requests: vec![Request::get("/a?b=$(HOME)")], count: 3 }],
            shape: Shape::Paced { duration_ms: 30_000, ramp_ms: 0 },
            until: Until::Count,
            limits: Limits::default(),
            wait: Probe::TcpSocket { port: 8080 },
        }
    }

    #[test]
    fn the_json_form_is_the_one_that_sidecars_in_the_field_read() {
        expect![[r#"{"version":1,"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","port":8080,"steps":[{"requests":[{"protocol":"http","method":"GET","path":"/a?b=$(HOME)"}],"count":3}],"shape":{"paced":{"durationMs":30000}},"limits":{"concurrency":64,"successThreshold":0.5},"wait":{"tcpSocket":{"port":8080}}}"#]]
        .assert_eq(&plan().to_json());
    }

    #[test]
    fn an_environment_value_keeps_dollars_from_the_kubelet() {
        let value = plan().to_env_value();
        assert!(value.contains("b=$$(HOME)"));
        assert_eq!(Plan::from_env_value(&value).unwrap(), plan());
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let text = plan().to_json().replacen('{', r#"{"colour":"green","#, 1);
        assert_eq!(Plan::from_json(&text).unwrap(), plan());
    }

    #[test]
    fn an_unknown_version_is_named_even_when_the_rest_has_another_shape() {
        let error = Plan::from_json(r#"{"version":7,"acts":[]}"#).unwrap_err();
        expect!["the plan has version 7, and this sidecar knows version 1"].assert_eq(&error.to_string());
    }

    #[test]
    fn a_plan_without_requests_is_refused() {
        let mut empty = plan();
        empty.steps[0].requests.clear();
        assert!(matches!(Plan::from_json(&empty.to_json()), Err(PlanError::Empty)));
    }

    #[test]
    fn a_plan_that_asks_for_too_much_is_clamped() {
        let mut large = plan();
        large.steps[0].count = 2_000_000;
        large.shape = Shape::Paced { duration_ms: u64::MAX, ramp_ms: 0 };
        large.limits =
            Limits { concurrency: 10_000, connections: 10_000, retries: 10_000, success_threshold: 7.0 };
        let read = Plan::from_json(&large.to_json()).unwrap();
        assert_eq!(read.request_count(), MAX_REQUESTS);
        assert_eq!(read.shape.duration(), MAX_DURATION);
        let most = Limits {
            concurrency: MAX_CONCURRENCY,
            connections: MAX_CONCURRENCY,
            retries: MAX_RETRIES,
            success_threshold: 1.0,
        };
        assert_eq!(read.limits, most);
    }
}
