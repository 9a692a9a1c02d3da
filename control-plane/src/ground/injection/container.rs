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

/// The variables by which a sidecar of this very template is known.
pub(super) fn written(template: &SidecarTemplate) -> [(&'static str, &str); 4] {
    [
        (names::REPORT_ADDRESS_ENV, &template.report_address),
        (names::REPORT_SERVER_NAME_ENV, &template.report_server_name),
        (names::REPORT_CA_ENV, &template.report_ca),
        // The image itself may have been exchanged by now, by a mirror or a fallback.
        (names::IMAGE_ENV, &template.image),
    ]
}

fn environment(plan: &Plan, template: &SidecarTemplate) -> Value {
    let field =
        |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let text = |name: &str, value: &str| json!({"name": name, "value": value});
    let plan = text(names::PLAN_ENV, &plan.to_env_value());
    let texts = written(template).map(|(name, value)| text(name, value));
    let fields = [field(names::POD_UID_ENV, "metadata.uid"), field(names::POD_IPS_ENV, "status.podIPs")];
    [plan].into_iter().chain(texts).chain(fields).collect()
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
