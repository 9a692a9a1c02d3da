//! The injected container and its volume, as JSON.

use proto::{names, plan::Plan};
use serde_json::{Value, json};

use super::SidecarTemplate;
use crate::ground::pod::Pod;

/// User of the sidecar where the pod's own is root; elsewhere the image's user, or what the namespace assigns.
const NON_ROOT_USER: i64 = 65532;
/// The shortest that Kubernetes gives.
const TOKEN_SECONDS: u32 = 600;

/// A native sidecar that conforms to the Pod Security level `restricted`.
pub(super) fn sidecar(pod: &Pod<'_>, plan: &Plan, resources: Value, template: &SidecarTemplate) -> Value {
    let mut container = json!({
        "name": names::SIDECAR_CONTAINER,
        "image": template.image,
        "restartPolicy": "Always",
        "env": environment(plan, template),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": names::SIDECAR_VOLUME, "mountPath": names::SIDECAR_MOUNT, "readOnly": true}],
    });
    if resources.as_object().is_some_and(|resources| !resources.is_empty()) {
        container["resources"] = resources;
    }
    if pod.spec.security_context.as_ref().and_then(|context| context.run_as_user) == Some(0) {
        container["securityContext"]["runAsUser"] = NON_ROOT_USER.into();
    }
    container
}

fn environment(plan: &Plan, template: &SidecarTemplate) -> Value {
    json!([
        {"name": names::PLAN_ENV, "value": plan.to_env_value()},
        {"name": names::REPORT_ADDRESS_ENV, "value": template.report_address},
        {"name": names::REPORT_SERVER_NAME_ENV, "value": template.report_server_name},
        {"name": names::REPORT_CA_ENV, "value": template.report_ca},
        {"name": names::POD_UID_ENV, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": names::POD_IPS_ENV, "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
    ])
}

/// The token that says which pod reports, and the report once there is one.
pub(super) fn volume() -> Value {
    let report_path = format!("metadata.annotations['{}']", names::REPORT_ANNOTATION);
    json!({
        "name": names::SIDECAR_VOLUME,
        "projected": {"sources": [
            {"serviceAccountToken": {
                "audience": names::TOKEN_AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": names::TOKEN_FILE,
            }},
            {"downwardAPI": {"items": [{"path": names::REPORT_FILE, "fieldRef": {"fieldPath": report_path}}]}},
        ]},
    })
}
