//! The pods' condition: one server-side apply on `pods/status` opens a gate, or says why it is closed.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Client, Resource,
    api::{PartialObjectMeta, Patch, PatchParams, Request},
};
use proto::names;
use serde_json::Value;
use tokio::time::timeout;
use tracing::warn;

use crate::ground::{condition::Opening, holding::Holding, observed::PodRef, warmups::Outcome};

/// For one apply; the API server took 8 ms at the median.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Applies `opening`, once.
pub async fn apply(client: &Client, opening: &Opening) -> Outcome {
    match timeout(TIMEOUT, try_apply(client, &opening.pod, opening.body())).await {
        Ok(Ok(pod)) => Outcome::Applied { resource_version: pod.metadata.resource_version },
        Ok(Err(error)) => {
            let outcome = classify(&error);
            if matches!(outcome, Outcome::Failed | Outcome::Refused) {
                warn!(pod = %opening.pod, %error, "cannot open the gate yet");
            }
            outcome
        }
        Err(_) => {
            warn!(pod = %opening.pod, "cannot open the gate yet: the API server does not answer");
            Outcome::Failed
        }
    }
}

/// Applies `holding`, once; what fails is left, for it opens no gate.
pub async fn explain(client: &Client, holding: &Holding) -> Outcome {
    match timeout(TIMEOUT, try_apply(client, &holding.pod, holding.body())).await {
        Ok(Ok(pod)) => Outcome::Applied { resource_version: pod.metadata.resource_version },
        Ok(Err(error)) => classify(&error),
        Err(_) => Outcome::Failed,
    }
}

/// The answer is read as metadata only: a typed Pod would be decoded whole for its resource version.
async fn try_apply(client: &Client, pod: &PodRef, body: Value) -> kube::Result<PartialObjectMeta<Pod>> {
    let pods = Request::new(Pod::url_path(&(), Some(&pod.namespace)));
    // Forced, because the webhook may have made the annotation.
    let params = PatchParams::apply(names::FIELD_MANAGER).force();
    let request = pods.patch_subresource("status", &pod.name, &params, &Patch::Apply(body));
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}

fn classify(error: &kube::Error) -> Outcome {
    let kube::Error::Api(status) = error else { return Outcome::Failed };
    match status.code {
        404 => Outcome::Gone,
        // The UID in the body is another one's than the pod's that now bears the name.
        422 if status.message.contains("metadata.uid") => Outcome::Gone,
        409 if status.message.contains("UID") => Outcome::Gone,
        409 => Outcome::Conflict,
        403 | 413 | 422 => Outcome::Refused,
        _ => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn outcome(code: u16, message: &str) -> Outcome {
        let status = Status { code, message: message.to_owned(), ..Status::failure(message, "") };
        classify(&kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_pod_that_is_gone_is_final_and_all_else_is_not() {
        assert_eq!(outcome(404, "pods \"web-1\" not found"), Outcome::Gone);
        let immutable = "Pod \"web-1\" is invalid: metadata.uid: Invalid value: \"u2\": field is immutable";
        assert_eq!(outcome(422, immutable), Outcome::Gone);
        assert_eq!(outcome(409, "the object has been modified"), Outcome::Conflict);
        assert_eq!(
            outcome(409, "Precondition failed: UID in precondition: u1, UID in object meta: u2"),
            Outcome::Gone
        );
        for code in [401, 429, 500, 503] {
            assert_eq!(outcome(code, "no"), Outcome::Failed);
        }
        for code in [403, 413, 422] {
            assert_eq!(outcome(code, "no"), Outcome::Refused);
        }
    }
}
