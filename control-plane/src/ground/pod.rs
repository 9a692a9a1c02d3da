//! A pod as its author wrote it, as far as the webhook reads it, borrowed from the review.
//!
//! Never the typed Pod: writing that back would delete every field that is newer than the type.

mod containers;

use std::{borrow::Cow, collections::BTreeMap, ops::Deref};

use proto::names;
use serde::Deserialize;

/// Text of the review, borrowed where it holds no escapes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Labels or annotations.
pub type Texts<'a> = BTreeMap<Text<'a>, Text<'a>>;

/// A pod.
#[derive(Debug, Deserialize)]
pub struct Pod<'a> {
    /// `metadata`
    #[serde(borrow, default)]
    pub metadata: Metadata<'a>,
    /// `spec`
    #[serde(borrow)]
    pub spec: Spec<'a>,
}

/// `metadata`; a field that is null counts as absent, for a patch below it would not apply.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata<'a> {
    /// `name`; absent where the API server is to generate one
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// `generateName`
    #[serde(borrow)]
    pub generate_name: Option<Text<'a>>,
    /// `annotations`
    #[serde(borrow)]
    pub annotations: Option<Texts<'a>>,
    /// `labels`
    #[serde(borrow)]
    pub labels: Option<Texts<'a>>,
    /// `ownerReferences`
    #[serde(borrow)]
    pub owner_references: Option<Vec<OwnerReference<'a>>>,
}

/// One of `metadata.ownerReferences`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference<'a> {
    /// `apiVersion`
    #[serde(borrow)]
    pub api_version: Text<'a>,
    /// `kind`
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// `controller`
    pub controller: Option<bool>,
    /// `uid`
    #[serde(borrow)]
    pub uid: Option<Text<'a>>,
}

/// `spec`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec<'a> {
    /// `containers`, 1,024 at most
    #[serde(borrow, deserialize_with = "containers::few")]
    pub containers: Vec<Container<'a>>,
    /// `initContainers`, 1,024 at most
    #[serde(borrow, default, deserialize_with = "containers::few_or_none")]
    pub init_containers: Option<Vec<Container<'a>>>,
    /// `volumes`
    #[serde(borrow)]
    pub volumes: Option<Vec<Volume<'a>>>,
    /// `readinessGates`
    #[serde(borrow)]
    pub readiness_gates: Option<Vec<ReadinessGate<'a>>>,
    /// `hostNetwork`
    pub host_network: Option<bool>,
    /// `os`
    #[serde(borrow)]
    pub os: Option<Named<'a>>,
    /// `nodeSelector`
    #[serde(borrow)]
    pub node_selector: Option<Texts<'a>>,
    /// `securityContext`
    pub security_context: Option<SecurityContext>,
    /// `resources` of the pod as a whole
    #[serde(borrow)]
    pub resources: Option<Resources<'a>>,
    /// `overhead` of its runtime class
    #[serde(borrow)]
    pub overhead: Option<Texts<'a>>,
    /// `activeDeadlineSeconds`
    pub active_deadline_seconds: Option<i64>,
    /// `priorityClassName`
    #[serde(borrow)]
    pub priority_class_name: Option<Text<'a>>,
}

/// One of `spec.volumes`
#[derive(Debug, Deserialize)]
pub struct Volume<'a> {
    /// `name`
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `projected`
    #[serde(borrow)]
    pub projected: Option<Projected<'a>>,
}

/// `projected` of a volume
#[derive(Debug, Deserialize)]
pub struct Projected<'a> {
    /// `sources`
    #[serde(borrow)]
    pub sources: Option<Vec<ProjectedSource<'a>>>,
}

/// One of the `sources` of a projected volume
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectedSource<'a> {
    /// `serviceAccountToken`
    #[serde(borrow)]
    pub service_account_token: Option<TokenSource<'a>>,
}

/// `serviceAccountToken` of a projected volume
#[derive(Debug, Deserialize)]
pub struct TokenSource<'a> {
    /// `audience`
    #[serde(borrow)]
    pub audience: Option<Text<'a>>,
}

/// Anything that has a `name`
#[derive(Debug, Deserialize)]
pub struct Named<'a> {
    /// `name`
    #[serde(borrow)]
    pub name: Text<'a>,
}

/// One of `spec.readinessGates`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessGate<'a> {
    /// `conditionType`
    #[serde(borrow)]
    pub condition_type: Text<'a>,
}

/// `spec.securityContext`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// `runAsUser`
    pub run_as_user: Option<i64>,
}

/// A container or an init container
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container<'a> {
    /// `name`
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `ports`
    #[serde(borrow)]
    pub ports: Option<Vec<ContainerPort<'a>>>,
    /// `readinessProbe`
    #[serde(borrow)]
    pub readiness_probe: Option<Probe<'a>>,
    /// `startupProbe`
    #[serde(borrow)]
    pub startup_probe: Option<Probe<'a>>,
    /// `resources`
    #[serde(borrow)]
    pub resources: Option<Resources<'a>>,
    /// `env`
    #[serde(borrow)]
    pub env: Option<Vec<Variable<'a>>>,
    /// `restartPolicy`
    #[serde(borrow)]
    pub restart_policy: Option<Text<'a>>,
}

/// One of a container's `env`
#[derive(Debug, Deserialize)]
pub struct Variable<'a> {
    /// `name`
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `value`; absent where it comes from elsewhere
    #[serde(borrow)]
    pub value: Option<Text<'a>>,
}

/// One of a container's `ports`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort<'a> {
    /// `name`
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// `containerPort`
    pub container_port: u16,
}

/// A probe; `exec` and kinds to come have none of the three.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe<'a> {
    /// `httpGet`
    #[serde(borrow)]
    pub http_get: Option<HttpGet<'a>>,
    /// `tcpSocket`
    #[serde(borrow)]
    pub tcp_socket: Option<TcpSocket<'a>>,
    /// `grpc`
    #[serde(borrow)]
    pub grpc: Option<Grpc<'a>>,
}

/// `httpGet` of a probe; its `host` is never dialled and so not read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpGet<'a> {
    /// `port`
    #[serde(borrow)]
    pub port: PortReference<'a>,
    /// `path`
    #[serde(borrow)]
    pub path: Option<Text<'a>>,
    /// `scheme`
    #[serde(borrow)]
    pub scheme: Option<Text<'a>>,
    /// `httpHeaders`
    #[serde(borrow)]
    pub http_headers: Option<Vec<HttpHeader<'a>>>,
}

/// One of a probe's `httpHeaders`
#[derive(Debug, Deserialize)]
pub struct HttpHeader<'a> {
    /// `name`
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `value`
    #[serde(borrow)]
    pub value: Text<'a>,
}

/// `tcpSocket` of a probe
#[derive(Debug, Deserialize)]
pub struct TcpSocket<'a> {
    /// `port`
    #[serde(borrow)]
    pub port: PortReference<'a>,
}

/// `grpc` of a probe
#[derive(Debug, Deserialize)]
pub struct Grpc<'a> {
    /// `port`
    pub port: u16,
    /// `service`
    #[serde(borrow)]
    pub service: Option<Text<'a>>,
}

/// A port by number or by name
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum PortReference<'a> {
    /// By number
    Number(u16),
    /// By the name that a container gives it
    Name(#[serde(borrow)] Text<'a>),
}

/// `resources` of a container or of the pod
#[derive(Debug, Default, Deserialize)]
pub struct Resources<'a> {
    /// `requests`
    #[serde(borrow)]
    pub requests: Option<Texts<'a>>,
    /// `limits`
    #[serde(borrow)]
    pub limits: Option<Texts<'a>>,
}

impl<'a> Pod<'a> {
    /// The annotation `key`, where there is one.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(|value| &**value)
    }

    /// Its name, or what its name will begin with.
    #[must_use]
    pub fn display_name(&self) -> &str {
        let Metadata { name, generate_name, .. } = &self.metadata;
        name.as_deref().or(generate_name.as_deref()).unwrap_or_default()
    }

    /// Init containers, none where the field is absent.
    #[must_use]
    pub fn init_containers(&self) -> &[Container<'a>] {
        self.spec.init_containers.as_deref().unwrap_or_default()
    }

    /// All containers of the spec, init containers first.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container<'a>> {
        self.init_containers().iter().chain(&self.spec.containers)
    }
}

impl Volume<'_> {
    /// Whether this is the volume of an injected sidecar.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        let sources = self.projected.as_ref().and_then(|projected| projected.sources.as_deref());
        let mut tokens = sources.into_iter().flatten().filter_map(|s| s.service_account_token.as_ref());
        &*self.name == names::SIDECAR_VOLUME
            && tokens.any(|token| token.audience.as_deref() == Some(names::TOKEN_AUDIENCE))
    }
}

impl Container<'_> {
    /// Whether this is an injected sidecar: it bears a plan. One that only bears the name is the author's.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        &*self.name == names::SIDECAR_CONTAINER && self.variable(names::PLAN_ENV).is_some()
    }

    /// The text of its environment variable `name`.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let env = self.env.as_deref().unwrap_or_default();
        env.iter().find(|variable| &*variable.name == name)?.value.as_deref()
    }

    /// Whether an init container of this kind runs as long as the app does.
    #[must_use]
    pub fn is_native_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }

    /// The number of the port that the container calls `name`.
    #[must_use]
    pub fn port_named(&self, name: &str) -> Option<u16> {
        let ports = self.ports.as_deref().unwrap_or_default();
        ports.iter().find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port)
    }

    /// The number that `reference` means in this container.
    #[must_use]
    pub fn resolve(&self, reference: &PortReference<'_>) -> Option<u16> {
        match reference {
            PortReference::Number(number) => Some(*number),
            PortReference::Name(name) => self.port_named(name),
        }
    }
}

impl HttpGet<'_> {
    /// `path`, which is `/` where it is absent.
    #[must_use]
    pub fn path_or_root(&self) -> &str {
        self.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/")
    }
}

impl Probe<'_> {
    /// The port that the probe asks, in `container`.
    #[must_use]
    pub fn port(&self, container: &Container<'_>) -> Option<u16> {
        if let Some(http) = &self.http_get {
            return container.resolve(&http.port);
        }
        if let Some(tcp) = &self.tcp_socket {
            return container.resolve(&tcp.port);
        }
        self.grpc.as_ref().map(|grpc| grpc.port)
    }
}
