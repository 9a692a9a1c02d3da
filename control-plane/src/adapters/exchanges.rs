//! Exchanges the image of our container in live pods: one JSON Patch on `pods` each.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Client, Resource,
    api::{PartialObjectMeta, Patch, PatchParams, Request},
};
use proto::names;
use tokio::time::timeout;
use tracing::warn;

use crate::ground::{fallbacks::Exchange, warmups::Outcome};

/// For one patch; like that of a condition it takes some milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Makes `exchange`, once; making it twice is a conflict and changes nothing.
pub async fn make(client: &Client, exchange: &Exchange) -> Outcome {
    match timeout(TIMEOUT, try_make(client, exchange)).await {
        Ok(Ok(pod)) => Outcome::Applied { resource_version: pod.metadata.resource_version },
        Ok(Err(error)) => {
            warn!(pod = %exchange.pod, %error, "cannot exchange the sidecar's image yet");
            classify(&error)
        }
        Err(_) => {
            warn!(pod = %exchange.pod, "cannot exchange the sidecar's image yet: the API server does not answer");
            Outcome::Failed
        }
    }
}

/// The answer is read as metadata only: of a typed Pod nothing else would be looked at.
async fn try_make(client: &Client, exchange: &Exchange) -> kube::Result<PartialObjectMeta<Pod>> {
    let pods = Request::new(Pod::url_path(&(), Some(&exchange.pod.namespace)));
    let body = serde_json::from_value(exchange.body()).map_err(kube::Error::SerdeError)?;
    let params =
        PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let request = pods.patch(&exchange.pod.name, &params, &Patch::<()>::Json(body));
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}

fn classify(error: &kube::Error) -> Outcome {
    let kube::Error::Api(status) = error else { return Outcome::Failed };
    match status.code {
        404 => Outcome::Gone,
        409 => Outcome::Conflict,
        // Another pod bears the name, or another image is there by now: the watch will say so.
        422 if status.message.contains("test failed") => Outcome::Conflict,
        403 | 422 => Outcome::Refused,
        _ => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_pod_that_is_gone_is_final_and_all_else_is_not() {
        let outcome = |code: u16, message: &str| {
            let status = Status { code, message: message.to_owned(), ..Status::failure(message, "") };
            classify(&kube::Error::Api(Box::new(status)))
        };
        assert_eq!(outcome(404, "pods \"web-1\" not found"), Outcome::Gone);
        let raced = "testing value /spec/initContainers/0/image failed: test failed";
        assert_eq!(outcome(422, raced), Outcome::Conflict);
        assert_eq!(outcome(409, "the object has been modified"), Outcome::Conflict);
        assert_eq!(outcome(403, "denied by a policy"), Outcome::Refused);
        assert_eq!(outcome(422, "invalid image"), Outcome::Refused);
        for code in [401, 429, 500, 503] {
            assert_eq!(outcome(code, "no"), Outcome::Failed);
        }
    }
}
