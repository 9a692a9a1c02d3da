//! What a pod's annotations ask for, parsed at the door.

mod call;
mod duration;
mod endpoint;
mod keys;
mod number;
mod port;
mod quantity;
mod reader;
mod shape;

pub use call::Call;
pub use duration::{DurationError, GoDuration};
pub use endpoint::{Endpoint, EndpointPath};
pub use keys::{ALL, Key};
pub use number::{Concurrency, Connections, RequestCount, Retries, SuccessThreshold};
pub use port::{PortSetting, PortSettingError};
use proto::plan::{Protocol, Shape, Until};
pub use quantity::{Quantity, QuantityError};
pub use reader::{Problem, ProblemKind};
use reader::{Reader, check_that};

use crate::ground::pod::Texts;

/// Smallest memory limit of the sidecar: runc starts no container below 4Mi, and ours needs room.
pub(super) const MIN_MEMORY_LIMIT: u64 = 8 << 20;

/// What a pod asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What to request.
    pub endpoint: Endpoint,
    /// How many requests.
    pub requests: RequestCount,
    /// When they leave.
    pub shape: Shape,
    /// What ends them, beside their number and their time.
    pub until: Until,
    /// How the requests travel.
    pub protocol: Protocol,
    /// What to call instead of requesting the endpoint; present for gRPC and for nothing else.
    pub call: Option<Call>,
    /// The app's port, where the pod says so.
    pub port: Option<PortSetting>,
    /// Requests in flight at most, where the pod says so.
    pub concurrency: Option<Concurrency>,
    /// Connections that they are spread over at least.
    pub connections: Connections,
    /// Further tries of a request whose connection failed.
    pub retries: Retries,
    /// Share of requests that must succeed.
    pub success_threshold: SuccessThreshold,
    /// Resources of the injected container, where the pod says so.
    pub resources: ResourceSettings,
    /// Kinds of pods that are warmed although they are left alone by default.
    pub allow: Allow,
}

/// Resources of the injected container, as far as the pod sets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceSettings {
    /// CPU request
    pub cpu_request: Option<Quantity>,
    /// CPU limit
    pub cpu_limit: Option<Quantity>,
    /// Memory request
    pub memory_request: Option<Quantity>,
    /// Memory limit, at least 8Mi
    pub memory_limit: Option<Quantity>,
}

impl ResourceSettings {
    /// Whether the pod sets any.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }
}

/// Kinds of pods that are warmed only when the pod asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allow {
    /// Pods of a Job
    pub job: bool,
    /// Pods in their node's network
    pub host_network: bool,
}

/// Reads `annotations`: the settings, or everything that is wrong with them.
pub fn read(annotations: &Texts<'_>) -> Result<Settings, Vec<Problem>> {
    let mut reader = Reader::new(annotations);
    let (protocol, call) = call::read(&mut reader);
    let until = reader.read(&keys::UNTIL, until).unwrap_or_default();
    let settings = Settings {
        endpoint: reader.read(&keys::ENDPOINT, str::parse).unwrap_or_default(),
        requests: reader.read(&keys::REQUESTS, str::parse).unwrap_or(RequestCount::usual(until)),
        shape: shape::read(&mut reader, until),
        until,
        protocol,
        call,
        port: reader.read(&keys::PORT, str::parse),
        concurrency: reader.read(&keys::CONCURRENCY, str::parse),
        connections: reader.read(&keys::CONNECTIONS, str::parse).unwrap_or_default(),
        retries: reader.read(&keys::RETRIES, str::parse).unwrap_or_default(),
        success_threshold: reader.read(&keys::SUCCESS_THRESHOLD, str::parse).unwrap_or_default(),
        resources: ResourceSettings {
            cpu_request: reader.read(&keys::CPU_REQUEST, positive_quantity),
            cpu_limit: reader.read(&keys::CPU_LIMIT, positive_quantity),
            memory_request: reader.read(&keys::MEMORY_REQUEST, positive_quantity),
            memory_limit: reader.read(&keys::MEMORY_LIMIT, memory_limit),
        },
        allow: reader.read(&keys::ALLOW, allow).unwrap_or_default(),
    };
    check_order(&mut reader, &settings.resources);
    refuse_what_is_not_built(&mut reader);
    reader.finish(settings)
}

/// Keys below our prefix that we do not know: most likely typing errors.
pub fn unknown<'a>(annotations: &'a Texts<'_>) -> impl Iterator<Item = &'a str> {
    annotations
        .keys()
        .map(|key| &**key)
        .filter(|key| key.starts_with("kube-booster.io/"))
        .filter(|key| !ALL.iter().any(|known| known.name == *key))
}

/// Whether nothing says what to request, so that it is `/` alone.
#[must_use]
pub fn name_no_target(annotations: &Texts<'_>) -> bool {
    [&keys::ENDPOINT, &keys::GRPC_METHOD, &keys::CONFIG].iter().all(|key| !annotations.contains_key(key.name))
}

/// The annotations that later versions fulfil: a value that says more than the default does is refused, not ignored.
fn refuse_what_is_not_built(reader: &mut Reader<'_, '_>) {
    reader.not_built(&keys::CONFIG, |_| Ok(false));
}

fn until(text: &str) -> Result<Until, &'static str> {
    match text {
        "count" => Ok(Until::Count),
        "stable" => Ok(Until::Stable),
        _ => Err("is no stop rule"),
    }
}

fn positive_quantity(text: &str) -> Result<Quantity, String> {
    let quantity: Quantity = text.parse().map_err(|error| format!("is {error}"))?;
    check_that(!quantity.is_zero(), "is nothing")?;
    Ok(quantity)
}

fn memory_limit(text: &str) -> Result<Quantity, String> {
    let limit = positive_quantity(text)?;
    check_that(limit.bytes() >= MIN_MEMORY_LIMIT, "is too small for the sidecar")?;
    Ok(limit)
}

fn allow(text: &str) -> Result<Allow, String> {
    let mut allow = Allow::default();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "job" => allow.job = true,
            "host-network" => allow.host_network = true,
            _ => return Err("names a kind of pod that cannot be allowed".to_owned()),
        }
    }
    Ok(allow)
}

/// A request above its limit is refused by the API server, and the pod with it.
fn check_order(reader: &mut Reader<'_, '_>, resources: &ResourceSettings) {
    let pairs = [
        (&keys::CPU_REQUEST, &resources.cpu_request, &resources.cpu_limit),
        (&keys::MEMORY_REQUEST, &resources.memory_request, &resources.memory_limit),
    ];
    for (key, request, limit) in pairs {
        if let (Some(request), Some(limit)) = (request, limit)
            && request > limit
        {
            reader.bad(key, format!("is above the limit {limit}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn texts(json: &str) -> Texts<'_> {
        serde_json::from_str(json).unwrap()
    }

    fn refused(json: &str, expected: &Expect) {
        let problems = read(&texts(json)).unwrap_err();
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(lines.iter().all(|line| line.len() <= 256), "the API server cuts warnings off at 256 bytes");
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn without_annotations_the_defaults_hold() {
        let settings = read(&texts("{}")).unwrap();
        assert_eq!(settings.endpoint, Endpoint::Paths(vec!["/".parse().unwrap()]));
        assert_eq!(settings.requests.get(), 3);
        assert_eq!(settings.shape, Shape::Paced { duration_ms: 30_000, ramp_ms: 0 });
        assert_eq!((settings.port, settings.concurrency), (None, None));
        assert_eq!((settings.connections.get(), settings.retries.get()), (1, 0));
        assert!((settings.success_threshold.share() - 0.5).abs() < 1e-9);
        assert!(!settings.resources.is_set() && settings.allow == Allow::default());
    }

    #[test]
    fn every_built_annotation_is_read() {
        let settings = read(&texts(
            r#"{"kube-booster.io/warmup-endpoint": "/a b?c=1", "kube-booster.io/warmup-requests": "40",
                "kube-booster.io/warmup-duration": "1m30s", "kube-booster.io/warmup-port": "web",
                "kube-booster.io/warmup-concurrency": "8", "kube-booster.io/warmup-success-threshold": "95%",
                "kube-booster.io/warmup-connections": "16", "kube-booster.io/warmup-retries": "3",
                "kube-booster.io/warmup-ramp": "5s",
                "kube-booster.io/sidecar-cpu-request": "5m", "kube-booster.io/sidecar-cpu-limit": "0.1",
                "kube-booster.io/sidecar-memory-request": "4Mi", "kube-booster.io/sidecar-memory-limit": "16MB",
                "kube-booster.io/warmup-allow": "job, host-network"}"#,
        ))
        .unwrap();
        assert_eq!(settings.endpoint.to_string(), "/a /b?c=1");
        assert_eq!(settings.requests.get(), 40);
        assert_eq!(settings.shape, Shape::Paced { duration_ms: 90_000, ramp_ms: 5_000 });
        assert_eq!(settings.port.map(|port| port.to_string()).as_deref(), Some("web"));
        assert_eq!(settings.concurrency.map(Concurrency::get), Some(8));
        assert_eq!((settings.connections.get(), settings.retries.get()), (16, 3));
        assert_eq!(
            settings.resources.memory_limit.map(|limit| limit.to_string()).as_deref(),
            Some("16000000")
        );
        assert_eq!(settings.allow, Allow { job: true, host_network: true });
    }

    #[test]
    fn a_bad_value_is_answered_with_what_to_write_instead() {
        refused(
            r#"{"kube-booster.io/warmup-requests": "many", "kube-booster.io/warmup-duration": "30",
                "kube-booster.io/warmup-port": "70000", "kube-booster.io/warmup-success-threshold": "120%",
                "kube-booster.io/warmup-endpoint": "http://db/x", "kube-booster.io/warmup-concurrency": "65",
                "kube-booster.io/sidecar-cpu-request": "2", "kube-booster.io/sidecar-cpu-limit": "1",
                "kube-booster.io/sidecar-memory-limit": "4Mi", "kube-booster.io/warmup-allow": "everything"}"#,
            &expect![[r#"
                kube-booster.io/warmup-endpoint: "http://db/x" is a URL, and only paths of the pod itself are requested; use paths such as /search?q=a, separated by spaces, or auto
                kube-booster.io/warmup-requests: "many" is not a whole number; use a whole number from 1 to 12000
                kube-booster.io/warmup-duration: "30" is a duration without a unit; use a duration from 1ms to 5m, such as 30s or 1m30s
                kube-booster.io/warmup-port: "70000" is no port number; use a port number or a container port's name
                kube-booster.io/warmup-concurrency: "65" is out of range; use a whole number from 1 to 64
                kube-booster.io/warmup-success-threshold: "120%" is out of range; use a percentage from 0% to 100%
                kube-booster.io/sidecar-memory-limit: "4Mi" is too small for the sidecar; use a quantity of bytes from 8Mi, such as 16Mi
                kube-booster.io/warmup-allow: "everything" names a kind of pod that cannot be allowed; use job, host-network or both with a comma
                kube-booster.io/sidecar-cpu-request: "2" is above the limit 1; use a quantity of cores such as 5m"#]],
        );
    }

    #[test]
    fn until_it_is_stable_there_is_time_for_many_requests() {
        let check = |json: &str, requests, shape| {
            let settings = read(&texts(json)).unwrap();
            assert_eq!(
                (settings.until, settings.requests.get(), settings.shape),
                (Until::Stable, requests, shape),
                "{json}"
            );
        };
        let at_most = |timeout_ms| Shape::BackToBack { timeout_ms };
        let paced = |duration_ms, ramp_ms| Shape::Paced { duration_ms, ramp_ms };
        check(r#"{"kube-booster.io/warmup-until": "stable"}"#, 2_000, at_most(30_000));
        check(
            r#"{"kube-booster.io/warmup-until": "stable", "kube-booster.io/warmup-requests": "700"}"#,
            700,
            at_most(30_000),
        );
        check(
            r#"{"kube-booster.io/warmup-until": "stable", "kube-booster.io/warmup-timeout": "1m"}"#,
            2_000,
            at_most(60_000),
        );
        check(
            r#"{"kube-booster.io/warmup-until": "stable", "kube-booster.io/warmup-duration": "20s"}"#,
            2_000,
            paced(20_000, 0),
        );
        check(
            r#"{"kube-booster.io/warmup-until": "stable", "kube-booster.io/warmup-ramp": "5s"}"#,
            2_000,
            paced(30_000, 5_000),
        );
    }

    #[test]
    fn a_value_that_is_not_built_yet_is_refused_and_not_ignored() {
        refused(
            r#"{"kube-booster.io/warmup-config": "big"}"#,
            &expect![[r#"
                kube-booster.io/warmup-config: "big" is not supported by this version yet; leave it out"#]],
        );
    }

    #[test]
    fn a_bad_value_of_what_is_not_built_yet_is_called_bad() {
        refused(
            r#"{"kube-booster.io/warmup-until": "calm"}"#,
            &expect![[r#"kube-booster.io/warmup-until: "calm" is no stop rule; use count or stable"#]],
        );
    }

    #[test]
    fn a_grpc_method_is_called_with_its_message() {
        let settings = read(&texts(
            r#"{"kube-booster.io/warmup-protocol": "grpc", "kube-booster.io/warmup-grpc-method": "shop.v1.Cart/Get",
                "kube-booster.io/warmup-grpc-payload": " {\"sku\": \"a-1\"} ", "kube-booster.io/warmup-endpoint": "/"}"#,
        ))
        .unwrap();
        assert_eq!(settings.protocol, Protocol::Grpc);
        let request = settings.call.unwrap().request();
        assert_eq!((&*request.method, &*request.path), ("POST", "/shop.v1.Cart/Get"));
        let call = request.grpc.unwrap();
        assert_eq!((&*call.method, &*call.payload), ("shop.v1.Cart/Get", r#"{"sku": "a-1"}"#));
    }

    #[test]
    fn a_bad_call_is_answered_with_what_to_write_instead() {
        refused(
            r#"{"kube-booster.io/warmup-protocol": "spdy", "kube-booster.io/warmup-grpc-method": "shop.v1.Cart.Get",
                "kube-booster.io/warmup-grpc-payload": "{sku: 1}"}"#,
            &expect![[r#"
                kube-booster.io/warmup-grpc-method: "shop.v1.Cart.Get" does not have one slash, between service and method; use a method such as package.Service/Method
                kube-booster.io/warmup-grpc-payload: "{sku: 1}" is no JSON object; use a JSON object of at most 16384 characters
                kube-booster.io/warmup-protocol: "spdy" is no protocol; use http, https, h2c or grpc"#]],
        );
        let long = format!(r#"{{\"a\": \"{}\"}}"#, "ä".repeat(16_384));
        let deep = format!(r#"{{\"a\": {}{}}}"#, "[".repeat(200), "]".repeat(200));
        for payload in
            ["", "[]", "null", "{} {}", r#"{\"a\": 1e400}"#, r#"{\"a\": \"\\ud800\"}"#, &deep, &long]
        {
            let json = format!(r#"{{"kube-booster.io/warmup-grpc-payload": "{payload}"}}"#);
            assert!(read(&texts(&json)).is_err(), "{payload}");
        }
    }

    #[test]
    fn what_belongs_to_another_protocol_is_refused_and_not_ignored() {
        refused(
            r#"{"kube-booster.io/warmup-protocol": "grpc", "kube-booster.io/warmup-endpoint": "/cart"}"#,
            &expect![[r#"
                kube-booster.io/warmup-grpc-method: is missing, and protocol grpc needs it; use a method such as package.Service/Method
                kube-booster.io/warmup-endpoint: "/cart" is not requested by protocol grpc; leave it out"#]],
        );
        refused(
            r#"{"kube-booster.io/warmup-protocol": "h2c", "kube-booster.io/warmup-grpc-method": "a.B/C",
                "kube-booster.io/warmup-grpc-payload": "{\"d\": 1}"}"#,
            &expect![[r#"
                kube-booster.io/warmup-grpc-method: "a.B/C" is for protocol grpc alone; set kube-booster.io/warmup-protocol: grpc, or leave it out
                kube-booster.io/warmup-grpc-payload: "{\"d\": 1}" is for protocol grpc alone; set kube-booster.io/warmup-protocol: grpc, or leave it out"#]],
        );
    }

    #[test]
    fn a_default_that_is_spelled_out_is_no_request_for_more() {
        let spelled = r#"{"kube-booster.io/warmup-protocol": "http", "kube-booster.io/warmup-until": "count",
            "kube-booster.io/warmup-ramp": "0s", "kube-booster.io/warmup-retries": "0",
            "kube-booster.io/warmup-connections": "1", "kube-booster.io/warmup-grpc-payload": "{}"}"#;
        assert_eq!(read(&texts(spelled)), read(&texts("{}")));
    }

    #[test]
    fn typing_errors_are_found() {
        let annotations = texts(
            r#"{"kube-booster.io/warmup-request": "3", "kube-booster.io/warmup": "enabled", "a/b": ""}"#,
        );
        assert_eq!(unknown(&annotations).collect::<Vec<_>>(), ["kube-booster.io/warmup-request"]);
    }
}
