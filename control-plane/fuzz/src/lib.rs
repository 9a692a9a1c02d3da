//! What holds for whatever comes from outside; `cargo test` holds it to the corpus, `make fuzz` to what a fuzzer makes up.

use std::sync::{Arc, OnceLock};

use base64::{Engine, prelude::BASE64_STANDARD};
use control_plane::{
    adapters::{metrics::Metrics, webhook::Webhook},
    ground::{annotations, injection::SidecarTemplate, limits::Limits, pod::Texts},
};
use serde_json::Value;
use tokio::sync::watch;

/// The longest warning that the API server does not cut off, in bytes, less what every warning begins with.
const MAX_WARNING: usize = 256 - "pod is not warmed up: ".len();

fn webhook() -> &'static Webhook {
    static WEBHOOK: OnceLock<Webhook> = OnceLock::new();
    WEBHOOK.get_or_init(|| {
        let template = SidecarTemplate {
            image: "kube-booster/sidecar:1".to_owned(),
            report_address: "10.96.0.7:9090".to_owned(),
            report_server_name: "reports".to_owned(),
            report_ca: "CA".to_owned(),
        };
        Webhook {
            template: watch::Sender::new(Arc::new(template)).subscribe(),
            limits: watch::Sender::new(Limits::default()).subscribe(),
            barriers: watch::Sender::new(Arc::default()).subscribe(),
            metrics: Metrics::default(),
            own_namespace: "kube-booster-system".into(),
        }
    })
}

/// A review is refused, or allowed with a patch that applies and that is not made a second time.
///
/// # Panics
/// Where that does not hold.
pub fn review(data: &[u8]) {
    let Ok(answer) = webhook().review(data) else { return };
    let Some(patch) = patch_of(&answer) else { return };
    // What is readable by borrowing its parts need not be as a whole, where it is nested too deeply.
    let Ok(mut review) = serde_json::from_slice::<Value>(data) else { return };
    json_patch::patch(&mut review["request"]["object"], &patch).expect("a patch applies");
    let again = webhook().review(review.to_string().as_bytes()).expect("a patched pod is readable");
    assert!(patch_of(&again).is_none(), "a patched pod is patched again: {again}");
}

/// The patch of an answer, which is JSON and allows in any case.
fn patch_of(answer: &str) -> Option<json_patch::Patch> {
    let answer: Value = serde_json::from_str(answer).expect("an answer is JSON");
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    let patch = answer["response"]["patch"].as_str()?;
    let patch = BASE64_STANDARD.decode(patch).expect("a patch is base64");
    Some(serde_json::from_slice(&patch).expect("a patch is a JSON Patch"))
}

/// Annotations, one `name=value` on each line, are taken, or refused with warnings that a person gets to see whole.
///
/// # Panics
/// Where that does not hold.
pub fn annotations(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| (format!("kube-booster.io/{name}"), Value::from(value)));
    let json = Value::Object(pairs.collect()).to_string();
    let texts: Texts<'_> = serde_json::from_str(&json).expect("these are texts");
    match annotations::read(&texts) {
        Ok(settings) => {
            let endpoint = settings.endpoint.to_string();
            assert_eq!(endpoint.parse().as_ref(), Ok(&settings.endpoint), "{endpoint} is not itself");
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for line in problems.iter().map(ToString::to_string) {
                assert!(line.len() <= MAX_WARNING, "{line}");
            }
        }
    }
    annotations::unknown(&texts).for_each(drop);
}
