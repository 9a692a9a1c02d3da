//! The annotations that users write, each with its default and what it takes.

/// An annotation.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// The whole key.
    pub name: &'static str,
    /// Its value where a pod does not carry it; `–` where absence means something of its own.
    pub default: &'static str,
    /// What to write, for a sentence that starts with "use".
    pub takes: &'static str,
}

const fn key(name: &'static str, default: &'static str, takes: &'static str) -> Key {
    Key { name, default, takes }
}

pub(super) const WARMUP: Key = key(proto::names::WARMUP_ANNOTATION, "off", "enabled");
pub(super) const ENDPOINT: Key =
    key("kube-booster.io/warmup-endpoint", "/", "paths such as /search?q=a, separated by spaces, or auto");
pub(super) const REQUESTS: Key =
    key("kube-booster.io/warmup-requests", "3", "a whole number from 1 to 12000");
pub(super) const DURATION: Key =
    key("kube-booster.io/warmup-duration", "30s", "a duration from 1ms to 5m, such as 30s or 1m30s");
pub(super) const TIMEOUT: Key =
    key("kube-booster.io/warmup-timeout", "–", "a duration from 1s to 5m, such as 30s");
pub(super) const PORT: Key =
    key("kube-booster.io/warmup-port", "–", "a port number or a container port's name");
pub(super) const PROTOCOL: Key = key("kube-booster.io/warmup-protocol", "http", "http, https, h2c or grpc");
pub(super) const GRPC_METHOD: Key =
    key("kube-booster.io/warmup-grpc-method", "–", "a method such as package.Service/Method");
pub(super) const GRPC_PAYLOAD: Key =
    key("kube-booster.io/warmup-grpc-payload", "{}", "a JSON object of at most 16384 characters");
pub(super) const CONCURRENCY: Key =
    key("kube-booster.io/warmup-concurrency", "–", "a whole number from 1 to 64");
pub(super) const CONNECTIONS: Key =
    key("kube-booster.io/warmup-connections", "1", "a whole number from 1 to 64");
pub(super) const UNTIL: Key = key("kube-booster.io/warmup-until", "count", "count or stable");
pub(super) const RAMP: Key =
    key("kube-booster.io/warmup-ramp", "0s", "a duration up to that of the requests, such as 5s");
pub(super) const RETRIES: Key = key("kube-booster.io/warmup-retries", "0", "a whole number from 0 to 10");
pub(super) const SUCCESS_THRESHOLD: Key =
    key("kube-booster.io/warmup-success-threshold", "50%", "a percentage from 0% to 100%");
pub(super) const CONFIG: Key = key("kube-booster.io/warmup-config", "–", "the name of a WarmupConfig");
pub(super) const CPU_REQUEST: Key =
    key("kube-booster.io/sidecar-cpu-request", "1m", "a quantity of cores such as 5m");
pub(super) const CPU_LIMIT: Key =
    key("kube-booster.io/sidecar-cpu-limit", "–", "a quantity of cores such as 100m");
pub(super) const MEMORY_REQUEST: Key =
    key("kube-booster.io/sidecar-memory-request", "2Mi", "a quantity of bytes such as 4Mi");
pub(super) const MEMORY_LIMIT: Key =
    key("kube-booster.io/sidecar-memory-limit", "16Mi", "a quantity of bytes from 8Mi, such as 16Mi");
pub(super) const ALLOW: Key =
    key("kube-booster.io/warmup-allow", "–", "job, host-network or both with a comma");
pub(super) const REPORT: Key = key(proto::names::REPORT_ANNOTATION, "–", "nothing: it is written for you");

/// All annotations, in the order in which the README explains them.
pub const ALL: [&Key; 22] = [
    &WARMUP,
    &ENDPOINT,
    &REQUESTS,
    &DURATION,
    &TIMEOUT,
    &PORT,
    &PROTOCOL,
    &GRPC_METHOD,
    &GRPC_PAYLOAD,
    &CONCURRENCY,
    &CONNECTIONS,
    &UNTIL,
    &RAMP,
    &RETRIES,
    &SUCCESS_THRESHOLD,
    &CONFIG,
    &CPU_REQUEST,
    &CPU_LIMIT,
    &MEMORY_REQUEST,
    &MEMORY_LIMIT,
    &ALLOW,
    &REPORT,
];
