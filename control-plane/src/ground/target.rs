//! Where the warm-up requests of a pod go.

use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use proto::plan::{self, Protocol};

use super::{
    annotations::{Endpoint, EndpointPath, PortSetting, Settings},
    mesh,
    pod::{Container, HttpGet, Pod, Probe},
};

/// Says which container is the app, where a pod has several (set by meshes and by people).
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Where the requests go and how to tell that the app answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Port of the app.
    pub port: u16,
    /// Paths to cycle through; never empty.
    pub paths: Vec<String>,
    /// The question that the sidecar asks until the app answers it.
    pub wait: plan::Probe,
}

/// Why a pod has no target; each says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A name that no container gives to a port.
    #[error(
        "kube-booster.io/warmup-port: no container has a port named {0:?}; use one of its port names or a number"
    )]
    UnknownName(String),
    /// Nothing says which port is the app's.
    #[error(
        "kube-booster.io/warmup-port: container {container:?} has no readiness probe with a port, no port named {name}, \
         and not exactly one port; set the annotation to the app's port"
    )]
    NoPort {
        /// The app.
        container: String,
        /// What its port would be called.
        name: &'static str,
    },
    /// `auto` needs an HTTP readiness probe.
    #[error(
        "kube-booster.io/warmup-endpoint: \"auto\" needs an httpGet readiness probe, and container {0:?} has none; \
         name the paths instead"
    )]
    NoProbePath(String),
    /// The readiness probe's path is none that can be requested.
    #[error(
        "kube-booster.io/warmup-endpoint: the readiness probe's path cannot be requested; name the paths instead"
    )]
    BadProbePath,
    /// A spec without containers, which the API server refuses anyway.
    #[error("the pod has no container")]
    NoContainer,
}

/// The target of `pod` under `settings`.
pub fn find(pod: &Pod<'_>, settings: &Settings) -> Result<Target, TargetError> {
    let app = app_container(pod).ok_or(TargetError::NoContainer)?;
    let (port, owner) = match &settings.port {
        Some(PortSetting::Number(number)) => (*number, owner_of(pod, *number).unwrap_or(app)),
        Some(PortSetting::Name(name)) => {
            named(pod, name).ok_or_else(|| TargetError::UnknownName(name.clone()))?
        }
        None => (own_port(pod, app, settings.protocol)?, app),
    };
    Ok(Target { port, paths: paths(&settings.endpoint, pod, owner)?, wait: wait(pod, owner, port) })
}

/// The container that the author calls the default one, else the first.
fn app_container<'p, 'a>(pod: &'p Pod<'a>) -> Option<&'p Container<'a>> {
    let default = pod.annotation(DEFAULT_CONTAINER);
    let named = pod.spec.containers.iter().find(|container| Some(&*container.name) == default);
    named.or_else(|| pod.spec.containers.iter().find(|container| !mesh::is_proxy(container)))
}

fn owner_of<'p, 'a>(pod: &'p Pod<'a>, number: u16) -> Option<&'p Container<'a>> {
    pod.spec.containers.iter().find(|container| {
        container.ports.as_deref().unwrap_or_default().iter().any(|port| port.container_port == number)
    })
}

fn named<'p, 'a>(pod: &'p Pod<'a>, name: &str) -> Option<(u16, &'p Container<'a>)> {
    pod.spec.containers.iter().find_map(|container| Some((container.port_named(name)?, container)))
}

/// The readiness probe's port, else the one that is named as the protocol is, else the only one. Where gRPC is warmed, an
/// HTTP or TCP probe asks a port that may speak something else: there the name comes first.
fn own_port(pod: &Pod<'_>, app: &Container<'_>, protocol: Protocol) -> Result<u16, TargetError> {
    let only = || match app.ports.as_deref() {
        Some([port]) => Some(port.container_port),
        _ => None,
    };
    let probe = app.readiness_probe.as_ref().and_then(|probe| as_written(pod, probe));
    let probed = probe.as_ref().and_then(|probe| probe.get().port(app));
    let name = if protocol == Protocol::Grpc { "grpc" } else { "http" };
    let named = app.port_named(name);
    let says_little = protocol == Protocol::Grpc && probe.is_some_and(|probe| probe.get().grpc.is_none());
    let found = if says_little { named.or(probed) } else { probed.or(named) };
    found.or_else(only).ok_or_else(|| TargetError::NoPort { container: (*app.name).to_owned(), name })
}

/// A probe as the author wrote it.
enum AsWritten<'p, 'a> {
    Still(&'p Probe<'a>),
    Again(Probe<'p>),
}

impl AsWritten<'_, '_> {
    fn get(&self) -> &Probe<'_> {
        match self {
            Self::Still(probe) => probe,
            Self::Again(probe) => probe,
        }
    }
}

/// `probe` as it was before a mesh rewrote it; `None` where nothing says how.
fn as_written<'p, 'a>(pod: &'p Pod<'_>, probe: &'p Probe<'a>) -> Option<AsWritten<'p, 'a>> {
    if mesh::is_rewritten(probe) {
        return mesh::original(pod, probe).map(AsWritten::Again);
    }
    Some(AsWritten::Still(probe))
}

fn paths(endpoint: &Endpoint, pod: &Pod<'_>, owner: &Container<'_>) -> Result<Vec<String>, TargetError> {
    match endpoint {
        Endpoint::Paths(paths) => Ok(paths.iter().map(ToString::to_string).collect()),
        Endpoint::Auto => {
            let probe = owner.readiness_probe.as_ref().and_then(|probe| as_written(pod, probe));
            let http = probe.as_ref().and_then(|probe| probe.get().http_get.as_ref());
            let probe = http.ok_or_else(|| TargetError::NoProbePath((*owner.name).to_owned()))?;
            let path = probe.path_or_root().parse::<EndpointPath>().map_err(|_| TargetError::BadProbePath)?;
            Ok(vec![path.to_string()])
        }
    }
}

/// The readiness probe's own question, else the startup probe's, else whether the port takes connections.
fn wait(pod: &Pod<'_>, owner: &Container<'_>, port: u16) -> plan::Probe {
    let probes = [&owner.readiness_probe, &owner.startup_probe];
    let asked = probes.into_iter().flatten().find_map(|probe| {
        // Where nothing says what the author wrote, the mesh's agent asks it for us.
        let written = as_written(pod, probe).unwrap_or(AsWritten::Still(probe));
        question(written.get(), owner)
    });
    asked.unwrap_or(plan::Probe::TcpSocket { port })
}

/// The kubelet is more lenient with paths and headers than an HTTP client should be.
fn is_sendable(http: &HttpGet<'_>) -> bool {
    let headers = http.http_headers.as_deref().unwrap_or_default();
    http.path_or_root().parse::<EndpointPath>().is_ok()
        && headers.iter().all(|header| {
            HeaderName::from_str(&header.name).is_ok() && HeaderValue::from_str(&header.value).is_ok()
        })
}

fn question(probe: &Probe<'_>, owner: &Container<'_>) -> Option<plan::Probe> {
    let port = probe.port(owner)?;
    if let Some(http) = &probe.http_get {
        let is_https = http.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        let headers = http.http_headers.as_deref().unwrap_or_default();
        if !is_sendable(http) {
            return Some(plan::Probe::TcpSocket { port });
        }
        return Some(plan::Probe::HttpGet {
            port,
            path: http.path_or_root().to_owned(),
            protocol: if is_https { plan::Protocol::Https } else { plan::Protocol::Http },
            headers: headers
                .iter()
                .map(|header| plan::Header {
                    name: (*header.name).to_owned(),
                    value: (*header.value).to_owned(),
                })
                .collect(),
        });
    }
    if let Some(grpc) = &probe.grpc {
        let service = grpc.service.as_deref().unwrap_or_default().to_owned();
        return Some(plan::Probe::Grpc { port, service });
    }
    probe.tcp_socket.as_ref().map(|_| plan::Probe::TcpSocket { port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::annotations;

    /// The target of a pod with `containers` and `annotations`, both JSON.
    fn target(containers: &str, annotations: &str) -> Result<Target, TargetError> {
        let json =
            format!(r#"{{"metadata":{{"annotations":{annotations}}},"spec":{{"containers":{containers}}}}}"#);
        let pod: Pod<'_> = serde_json::from_str(&json).unwrap();
        let settings = annotations::read(pod.metadata.annotations.as_ref().unwrap()).unwrap();
        find(&pod, &settings)
    }

    fn port(containers: &str, annotations: &str) -> u16 {
        target(containers, annotations).unwrap().port
    }

    const TWO: &str = r#"[{"name":"app","ports":[{"containerPort":1},{"name":"http","containerPort":2}]},
                          {"name":"metrics","ports":[{"name":"prom","containerPort":9}],
                           "readinessProbe":{"tcpSocket":{"port":"prom"}}}]"#;

    const GRPC: &str =
        r#"{"kube-booster.io/warmup-protocol":"grpc","kube-booster.io/warmup-grpc-method":"a.B/C"}"#;

    #[test]
    fn the_annotation_wins() {
        assert_eq!(port(TWO, r#"{"kube-booster.io/warmup-port":"7000"}"#), 7000);
        assert_eq!(port(TWO, r#"{"kube-booster.io/warmup-port":"prom"}"#), 9);
    }

    #[test]
    fn the_readiness_probes_port_comes_before_a_port_named_http() {
        let probed = r#"[{"name":"app","ports":[{"name":"http","containerPort":2},{"name":"adm","containerPort":3}],
                          "readinessProbe":{"httpGet":{"port":"adm","path":"/ready"}}}]"#;
        assert_eq!(port(probed, "{}"), 3);
    }

    #[test]
    fn a_port_named_http_comes_before_others_and_an_only_port_needs_no_name() {
        assert_eq!(port(TWO, "{}"), 2);
        assert_eq!(port(r#"[{"name":"app","ports":[{"name":"web","containerPort":5}]}]"#, "{}"), 5);
    }

    #[test]
    fn grpc_goes_to_the_port_of_a_grpc_probe_else_to_a_port_named_grpc_else_to_any_probes() {
        let ports = r#""ports":[{"name":"http","containerPort":2},{"name":"grpc","containerPort":3}]"#;
        let plain = r#""ports":[{"name":"http","containerPort":2},{"name":"rpc","containerPort":3}]"#;
        for (ports, probe, expected) in [
            (ports, r#"{"grpc":{"port":4}}"#, 4),
            (ports, r#"{"httpGet":{"port":"http"}}"#, 3),
            (ports, r#"{"exec":{}}"#, 3),
            (plain, r#"{"tcpSocket":{"port":"rpc"}}"#, 3),
        ] {
            let containers = format!(r#"[{{"name":"app",{ports},"readinessProbe":{probe}}}]"#);
            assert_eq!(port(&containers, GRPC), expected, "{containers}");
        }
    }

    #[test]
    fn a_mesh_proxy_that_stands_first_is_not_the_app() {
        let meshed = r#"[{"name":"istio-proxy","ports":[{"containerPort":15090}]},
                         {"name":"app","ports":[{"containerPort":5}]}]"#;
        assert_eq!(port(meshed, "{}"), 5);
        let named = r#"{"kubectl.kubernetes.io/default-container":"istio-proxy"}"#;
        assert_eq!(port(meshed, named), 15090);
    }

    #[test]
    fn without_a_port_the_error_names_the_annotation_to_set() {
        for containers in
            [r#"[{"name":"app"}]"#, r#"[{"name":"app","ports":[{"containerPort":1},{"containerPort":2}]}]"#]
        {
            let nothing = |name| Err(TargetError::NoPort { container: "app".to_owned(), name });
            assert_eq!(target(containers, "{}"), nothing("http"));
            assert_eq!(target(containers, GRPC), nothing("grpc"));
        }
        let unknown = target(TWO, r#"{"kube-booster.io/warmup-port":"web"}"#).unwrap_err();
        assert_eq!(unknown, TargetError::UnknownName("web".to_owned()));
    }

    #[test]
    fn the_waiting_probe_is_the_port_owners_own() {
        let wait = |containers, annotations| target(containers, annotations).unwrap().wait;
        let prom = r#"{"kube-booster.io/warmup-port":"prom"}"#;
        assert_eq!(wait(TWO, "{}"), plan::Probe::TcpSocket { port: 2 });
        assert_eq!(wait(TWO, prom), plan::Probe::TcpSocket { port: 9 });
        let http = r#"[{"name":"app","ports":[{"containerPort":2}],"startupProbe":{"httpGet":{"port":3,"host":"db",
            "scheme":"HTTPS","path":"up","httpHeaders":[{"name":"Host","value":"shop"}]}}}]"#;
        let header = plan::Header { name: "Host".to_owned(), value: "shop".to_owned() };
        let expected = plan::Probe::HttpGet {
            port: 3,
            path: "up".to_owned(),
            protocol: plan::Protocol::Https,
            headers: vec![header],
        };
        assert_eq!(wait(http, "{}"), expected);
        let exec = r#"[{"name":"app","ports":[{"containerPort":2}],"readinessProbe":{"exec":{"command":["true"]}}}]"#;
        assert_eq!(wait(exec, "{}"), plan::Probe::TcpSocket { port: 2 });
        let grpc = r#"[{"name":"app","readinessProbe":{"grpc":{"port":4,"service":"shop"}}}]"#;
        assert_eq!(wait(grpc, "{}"), plan::Probe::Grpc { port: 4, service: "shop".to_owned() });
    }

    #[test]
    fn a_probe_that_istio_points_at_its_agent_is_asked_and_not_warmed() {
        let meshed = r#"[{"name":"app","ports":[{"containerPort":5}],
            "readinessProbe":{"httpGet":{"port":15020,"path":"/app-health/app/readyz"}}}]"#;
        let target = target(meshed, "{}").unwrap();
        assert_eq!(target.port, 5);
        assert!(matches!(target.wait, plan::Probe::HttpGet { port: 15020, .. }));
    }

    #[test]
    fn a_probe_that_istio_points_at_its_agent_is_read_from_the_agents_environment() {
        let probers = r#"{"/app-health/app/livez":7,"/app-health/app/readyz":{"httpGet":{"path":"/re\u0061dy?x=1",
            "port":8081,"scheme":"HTTP","httpHeaders":[{"name":"X","value":"1"}]},"timeoutSeconds":1}}"#;
        let probers = serde_json::Value::from(probers);
        let agent = format!(
            r#"{{"name":"istio-proxy","ports":[{{"containerPort":15090}}],"env":[
            {{"name":"POD","valueFrom":{{}}}},{{"name":"ISTIO_KUBE_APP_PROBERS","value":{probers}}}]}}"#
        );
        let meshed = format!(
            r#"[{agent},{{"name":"app","ports":[{{"containerPort":5}},{{"containerPort":6}}],
            "readinessProbe":{{"httpGet":{{"port":15020,"path":"/app-health/app/readyz"}}}}}}]"#
        );
        let target = target(&meshed, r#"{"kube-booster.io/warmup-endpoint":"auto"}"#).unwrap();
        assert_eq!((target.port, target.paths), (8081, vec!["/ready?x=1".to_owned()]));
        let headers = vec![plan::Header { name: "X".to_owned(), value: "1".to_owned() }];
        let (path, protocol) = ("/ready?x=1".to_owned(), plan::Protocol::Http);
        assert_eq!(target.wait, plan::Probe::HttpGet { port: 8081, path, protocol, headers });
    }

    #[test]
    fn a_probe_that_only_the_kubelet_would_send_becomes_a_connection() {
        for probe in [
            r#"{"port":3,"path":"/health check"}"#,
            r#"{"port":3,"httpHeaders":[{"name":"X","value":"ä\n"}]}"#,
        ] {
            let containers = format!(r#"[{{"name":"app","readinessProbe":{{"httpGet":{probe}}}}}]"#);
            assert_eq!(target(&containers, "{}").unwrap().wait, plan::Probe::TcpSocket { port: 3 });
        }
    }

    #[test]
    fn auto_takes_the_readiness_probes_path() {
        let auto = r#"{"kube-booster.io/warmup-endpoint":"auto"}"#;
        let http = r#"[{"name":"app","readinessProbe":{"httpGet":{"port":3,"path":"/up?x=1"}}}]"#;
        assert_eq!(target(http, auto).unwrap().paths, ["/up?x=1"]);
        let tcp = r#"[{"name":"app","readinessProbe":{"tcpSocket":{"port":3}}}]"#;
        assert_eq!(target(tcp, auto), Err(TargetError::NoProbePath("app".to_owned())));
    }
}
