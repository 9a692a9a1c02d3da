//! Names that users, manifests and both programs depend on.

/// Turns warm-up on for a pod when its value is `enabled`.
pub const WARMUP_ANNOTATION: &str = "kube-booster.io/warmup";
/// Holds the pod's report as JSON, written by the control plane.
pub const REPORT_ANNOTATION: &str = "kube-booster.io/warmup-report";
/// Marks the pods that we injected; the control plane watches only these.
pub const INJECTED_LABEL: &str = "kube-booster.io/injected";
/// The readiness gate, and the pod condition that opens it.
pub const CONDITION: &str = "kube-booster.io/warmup-ready";
/// Audience of all tokens that our gRPC server takes.
pub const TOKEN_AUDIENCE: &str = "kube-booster.io";
/// Name of our `MutatingWebhookConfiguration`; it sorts late, so that other webhooks' annotations are there when ours is
/// matched.
pub const WEBHOOK_CONFIGURATION: &str = "zz-kube-booster";
/// Name of the one webhook in it.
pub const WEBHOOK: &str = "mutate-pods.kube-booster.io";
/// Field manager of everything that the control plane applies.
pub const FIELD_MANAGER: &str = "kube-booster";

/// Name of the injected container.
pub const SIDECAR_CONTAINER: &str = "kube-booster-warmup";
/// Name of the injected volume.
pub const SIDECAR_VOLUME: &str = "kube-booster-warmup";
/// Where the volume is mounted in the sidecar.
///
/// It is where the API server mounts a token for the Kubernetes API into every container that mounts nothing there. The
/// sidecar has no use for one; and because the API server then changes nothing after our webhook, it does not call
/// the webhooks of the pod a second time.
pub const SIDECAR_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The ServiceAccount token, below [`SIDECAR_MOUNT`].
pub const TOKEN_FILE: &str = "token";
/// The pod's own report annotation by the downward API, below [`SIDECAR_MOUNT`].
pub const REPORT_FILE: &str = "report";

/// Environment variable with the plan as JSON.
pub const PLAN_ENV: &str = "KUBE_BOOSTER_PLAN";
/// Environment variable with the control plane's `host:port`.
pub const REPORT_ADDRESS_ENV: &str = "KUBE_BOOSTER_REPORT_ADDRESS";
/// Environment variable with the name in the control plane's certificate.
pub const REPORT_SERVER_NAME_ENV: &str = "KUBE_BOOSTER_REPORT_SERVER_NAME";
/// Environment variable with the CA certificates of the control plane, PEM.
pub const REPORT_CA_ENV: &str = "KUBE_BOOSTER_REPORT_CA";
/// Environment variable with the pod's UID.
pub const POD_UID_ENV: &str = "KUBE_BOOSTER_POD_UID";
/// Environment variable with the pod's IP addresses, separated by commas.
pub const POD_IPS_ENV: &str = "KUBE_BOOSTER_POD_IPS";
/// Environment variable with the image that the webhook asked for; the container's own may have been exchanged.
pub const IMAGE_ENV: &str = "KUBE_BOOSTER_IMAGE";
