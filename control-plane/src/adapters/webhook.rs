//! `POST /mutate-v1-pod`: what the API server calls for each pod that asks for a warm-up.

mod admission;
mod bodies;
mod deadline;
mod limiter;
mod refusal;
mod slots;

use std::{panic, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, header::CONTENT_TYPE},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use clap::Args;
use tokio::sync::watch;
use tower::ServiceBuilder;
use tracing::{error, warn};

use self::{admission::Request, bodies::Bodies, limiter::Limiter, refusal::Refusal};
use super::metrics::Metrics;
use crate::ground::{
    injection::{self, Decision, SidecarTemplate, Surroundings},
    limits::{Limits, NamespaceLimits},
    pauses::Barriers,
    pod::Pod,
};

/// The path in the `MutatingWebhookConfiguration`.
pub const PATH: &str = "/mutate-v1-pod";
/// How our own check of the webhook names itself; what it asks is no review of the API server's and is not counted.
pub const SELF_CHECK: &str = "kube-booster-self-check";

/// Of a Kubernetes object, in bytes.
const MAX_NAME: usize = 253;

/// Flags of the webhook.
#[derive(Debug, Args)]
pub struct WebhookArgs {
    /// Port of the webhook (HTTPS)
    #[arg(long, default_value_t = 9443, value_name = "PORT")]
    pub webhook_port: u16,
    /// Reviews that are decided at once; -1 takes all cores but one
    #[arg(long, default_value = "-1", value_name = "COUNT", value_parser = slots::parse, allow_negative_numbers = true)]
    pub webhook_max_concurrency: usize,
    /// File with the CA of the API server's client certificate; without it, anybody may call the webhook
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<std::path::PathBuf>,
    /// Image of the injected container, by tag or digest
    #[arg(long, default_value = concat!("kube-booster/sidecar:", env!("CARGO_PKG_VERSION")), value_name = "IMAGE")]
    pub sidecar_image: String,
}

/// What the handler needs.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// What every sidecar is given, as it is now.
    pub template: watch::Receiver<Arc<SidecarTemplate>>,
    /// What the namespaces permit, as it is now.
    pub limits: watch::Receiver<Limits>,
    /// Where injection is paused, as it is now.
    pub barriers: watch::Receiver<Arc<Barriers>>,
    /// Where decisions are counted.
    pub metrics: Metrics,
    /// Where we run: no pod there is warmed, so that only our own check asks for it, whatever holds for others.
    pub own_namespace: Arc<str>,
}

type Decide = fn(&Pod<'_>, &str, &Surroundings<'_>) -> Decision;

/// The webhook's router, which decides `slots` reviews at once.
pub fn router(webhook: Webhook, slots: usize) -> Router {
    router_with(webhook, slots, injection::decide)
}

fn router_with(webhook: Webhook, slots: usize, decide: Decide) -> Router {
    let limiter = Limiter::new(slots, webhook.metrics.clone());
    let bodies = middleware::from_fn_with_state(Bodies::new(webhook.metrics.clone()), bodies::whole);
    // A body is read first, so that a slow one holds no slot.
    let layers = ServiceBuilder::new().layer(bodies).layer(limiter).layer(DefaultBodyLimit::disable());
    let review: MethodRouter<_> = post(mutate).layer(layers);
    Router::new().route(PATH, review).with_state((webhook, decide))
}

async fn mutate(State((webhook, decide)): State<(Webhook, Decide)>, body: Bytes) -> Response {
    match webhook.review_with(&body, decide) {
        Ok(answer) => json(answer),
        Err(_) => Refusal::NotReview.answer(&webhook.metrics),
    }
}

fn json(body: String) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

impl Webhook {
    /// The answer to the `AdmissionReview` in `body`, which always allows; an error where it is none.
    pub fn review(&self, body: &[u8]) -> Result<String, serde_json::Error> {
        self.review_with(body, injection::decide)
    }

    /// Never `allowed: false`, whatever happens: that would reject the pod in spite of `failurePolicy: Ignore`.
    fn review_with(&self, body: &[u8], decide: Decide) -> Result<String, serde_json::Error> {
        let request = admission::decode(body)?;
        let template = Arc::clone(&self.template.borrow());
        let is_own = *request.namespace == *self.own_namespace;
        let limits =
            if is_own { NamespaceLimits::default() } else { self.limits.borrow().of(&request.namespace) };
        let barriers = Arc::clone(&self.barriers.borrow());
        let surroundings = Surroundings { template: &template, limits: &limits };
        let answer = || {
            let pod: Pod<'_> = serde_json::from_str(request.object.map_or("null", |object| object.get()))?;
            let is_let_in = || is_own || barriers.admit(&request.namespace, request.is_dry_run);
            let decision = decide(&pod, &request.uid, &surroundings).unless_paused(is_let_in);
            Ok::<_, serde_json::Error>(self.note(&request, &decision, pod.display_name()))
        };
        let (namespace, uid) = (&request.namespace, &request.uid);
        Ok(match panic::catch_unwind(panic::AssertUnwindSafe(answer)) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                warn!(%namespace, %uid, %error, "cannot read the pod");
                self.metrics.count_failed_decision();
                admission::answer_failure(&request.uid, "kube-booster could not read it")
            }
            Err(_) => {
                error!(%namespace, %uid, "the handler panicked");
                self.metrics.count_failed_decision();
                admission::answer_failure(&request.uid, "kube-booster had an internal error")
            }
        })
    }

    fn note(&self, request: &Request<'_>, decision: &Decision, pod: &str) -> String {
        if request.is_dry_run {
            return admission::answer(&request.uid, decision);
        }
        self.metrics.count_decision(decision);
        if let Decision::Skipped { reason, warnings } = decision {
            // Nobody has checked it yet, and its length is up to its author.
            let pod = &pod[..pod.floor_char_boundary(MAX_NAME)];
            warn!(namespace = %request.namespace, pod, reason = reason.label(), why = warnings.join("; "), "pod left alone");
        }
        admission::answer(&request.uid, decision)
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http, http::StatusCode};
    use base64::{Engine, prelude::BASE64_STANDARD};
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;
    use crate::ground::{
        fallbacks::Failure,
        observed::{PodRef, Trouble},
        pauses::Pauses,
    };

    fn webhook() -> Webhook {
        let limits = watch::channel(Limits::default()).1;
        let template = SidecarTemplate {
            image: "kube-booster/sidecar:1".to_owned(),
            report_address: "10.96.0.7:9090".to_owned(),
            report_server_name: "reports".to_owned(),
            report_ca: "CA".to_owned(),
        };
        Webhook {
            template: watch::channel(Arc::new(template)).1,
            limits,
            barriers: watch::channel(Arc::default()).1,
            metrics: Metrics::default(),
            own_namespace: "ours".into(),
        }
    }

    async fn post(webhook: &Webhook, body: impl Into<Body>) -> (StatusCode, Vec<u8>) {
        let request =
            http::Request::post("/mutate-v1-pod?timeout=5s").header(CONTENT_TYPE, "application/json");
        let request = request.body(body.into()).unwrap();
        let response = router(webhook.clone(), 1).oneshot(request).await.unwrap();
        (response.status(), response.into_body().collect().await.unwrap().to_bytes().into())
    }

    async fn review(object: Value) -> Value {
        let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "namespace": "shop", "operation": "CREATE",
            "dryRun": true, "fieldOfTomorrow": [1], "object": object}});
        let (status, answer) = post(&webhook(), body.to_string()).await;
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["response"]["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
        assert_eq!(answer["response"]["allowed"], true);
        answer["response"].clone()
    }

    fn app() -> Value {
        json!({"metadata": {"generateName": "web-", "annotations": {"kube-booster.io/warmup": "enabled"}},
               "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 80}], "fieldOfTomorrow": {"a": 1}}],
                        "fieldOfTomorrow": "kept"}})
    }

    #[tokio::test]
    async fn an_annotated_pod_is_patched_and_fields_that_nobody_knows_survive() {
        let response = review(app()).await;
        assert_eq!(response["patchType"], "JSONPatch");
        let patch = BASE64_STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
        assert!(patch.iter().all(|operation| matches!(operation, json_patch::PatchOperation::Add(_))));
        let mut patched = app();
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched["spec"]["fieldOfTomorrow"], "kept");
        assert_eq!(patched["spec"]["containers"], app()["spec"]["containers"]);
        assert_eq!(patched["spec"]["readinessGates"][0]["conditionType"], "kube-booster.io/warmup-ready");
    }

    #[tokio::test]
    async fn a_pod_that_does_not_ask_gets_an_empty_answer() {
        let response = review(json!({"metadata": {}, "spec": {"containers": []}})).await;
        assert_eq!(response, json!({"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": true}));
    }

    #[tokio::test]
    async fn a_bad_annotation_is_answered_with_a_warning_and_no_patch() {
        let mut pod = app();
        pod["metadata"]["annotations"]["kube-booster.io/warmup-requests"] = "none".into();
        let response = review(pod).await;
        assert_eq!(response.get("patch"), None);
        let warning = "pod is not warmed up: kube-booster.io/warmup-requests: \"none\" is not a whole number; \
                       use a whole number from 1 to 12000";
        assert_eq!(response["warnings"], json!([warning]));
    }

    #[tokio::test]
    async fn a_dry_run_is_answered_and_not_counted() {
        let webhook = webhook();
        for (dry_run, count) in [(true, 0), (false, 1)] {
            let body = json!({"request": {"uid": "u1", "dryRun": dry_run, "object": app()}}).to_string();
            let (_, answer) = post(&webhook, body).await;
            assert!(String::from_utf8(answer).unwrap().contains("JSONPatch"));
            let counted = format!("injections_total{{result=\"injected\",reason=\"\"}} {count}\n");
            assert!(webhook.metrics.encode().contains(&counted));
        }
    }

    #[tokio::test]
    async fn while_injection_is_paused_in_a_namespace_its_pods_are_allowed_untouched() {
        let failure = Failure {
            pod: PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() },
            node: None,
            image: "kube-booster/sidecar:1".into(),
            trouble: Trouble::SILENCE,
            is_open: false,
        };
        let mut pauses = Pauses::new("kube-booster/sidecar:1");
        pauses.fail(&failure, "2026-01-01T00:00:00Z".parse().unwrap());
        let barriers = watch::channel(Arc::new(pauses.barriers())).1;
        let webhook = Webhook { barriers, ..webhook() };
        for (namespace, is_injected) in [("shop", false), ("bank", true)] {
            let body = json!({"request": {"uid": "u1", "namespace": namespace, "object": app()}}).to_string();
            let answer: Value = serde_json::from_slice(&post(&webhook, body).await.1).unwrap();
            assert_eq!(answer["response"]["allowed"], true);
            assert_eq!(answer["response"].get("patch").is_some(), is_injected, "{namespace}");
            assert_eq!(answer["response"].get("warnings").is_some(), !is_injected);
        }
        let counted = webhook.metrics.encode();
        assert!(counted.contains(r#"injections_total{result="skipped",reason="paused"} 1"#), "{counted}");
    }

    #[tokio::test]
    async fn what_is_no_pod_is_allowed_untouched() {
        for object in [json!(null), json!("pod"), json!({"spec": {"containers": "many"}})] {
            let response = review(object).await;
            assert_eq!(response.get("patch"), None);
            assert!(response["warnings"][0].as_str().unwrap().starts_with("pod is not warmed up"));
        }
    }

    #[tokio::test]
    async fn what_is_no_review_is_a_client_error_which_lets_the_pod_through() {
        for body in ["", "{}", "[1", "\u{0}", r#"{"request":{"uid":7}}"#] {
            assert_eq!(post(&webhook(), body).await.0, StatusCode::BAD_REQUEST, "{body:?}");
        }
        assert_eq!(post(&webhook(), vec![0xff; 64]).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(post(&webhook(), vec![b' '; bodies::MAX_BODY + 1]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
        let nested = "[".repeat(100_000);
        assert_eq!(post(&webhook(), nested).await.0, StatusCode::BAD_REQUEST);
        for twice in
            [r#"{"request":{"uid":"1"},"request":{"uid":"2"}}"#, r#"{"request":{"uid":"1","uid":"2"}}"#]
        {
            assert_eq!(post(&webhook(), twice).await.0, StatusCode::BAD_REQUEST, "{twice}");
        }
        let long = json!({"request": {"uid": "u".repeat(1_000), "object": app()}}).to_string();
        assert_eq!(post(&webhook(), long).await.0, StatusCode::BAD_REQUEST);
        let bare = http::Request::post(PATH).body(Body::from("{}")).unwrap();
        let answer = router(webhook(), 1).oneshot(bare).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    #[tokio::test]
    async fn nesting_without_end_costs_nothing_and_leaves_the_pod_alone() {
        let depth = 1 << 20;
        let deep = ["[".repeat(depth), "]".repeat(depth)].concat();
        for object in [
            deep.clone(),
            format!(r#"{{"metadata":{{}},"spec":{{"containers":[],"fieldOfTomorrow":{deep}}}}}"#),
            format!(
                r#"{{"spec":{{"containers":[{{"name":"a","readinessProbe":{{"httpGet":{{"port":{deep}}}}}}}]}}}}"#
            ),
        ] {
            let body = format!(r#"{{"request":{{"uid":"u1","object":{object}}}}}"#);
            let (status, answer) = post(&webhook(), body).await;
            assert_eq!(status, StatusCode::OK);
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(
                (&answer["response"]["allowed"], answer["response"].get("patch")),
                (&json!(true), None)
            );
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_a_warning_and_the_next_review_as_usual() {
        let webhook = webhook();
        let router = router_with(webhook.clone(), 1, |_, uid, _| {
            assert!(uid != "panic", "on purpose");
            Decision::NotAsked
        });
        for (uid, warning) in
            [("panic", "pod is not warmed up: kube-booster had an internal error"), ("calm", "")]
        {
            let body = json!({"request": {"uid": uid, "object": app()}}).to_string();
            let request = http::Request::post(PATH).header(CONTENT_TYPE, "application/json");
            let response = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let answer = response.into_body().collect().await.unwrap().to_bytes();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["response"]["allowed"], true);
            assert_eq!(answer["response"]["warnings"][0].as_str().unwrap_or_default(), warning);
        }
        let counted = webhook.metrics.encode();
        assert!(counted.contains(r#"injections_total{result="error",reason="internal"} 1"#));
        assert!(counted.contains("kube_booster_webhook_in_flight 0"));
    }
}
