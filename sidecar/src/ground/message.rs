//! A request to the app, checked once and stamped each time that it is sent.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRANSFER_ENCODING, USER_AGENT},
};
use proto::plan::{self, Header, Protocol};

use super::{
    call::{Call, Uncallable},
    descriptors::Descriptors,
    reflection::Untold,
    spoken::Spoken,
};

const OUR_USER_AGENT: HeaderValue = HeaderValue::from_static("kube-booster/1.0");
const WARMUP: HeaderName = HeaderName::from_static("x-warmup-request");
const TRACE: HeaderName = HeaderName::from_static("traceparent");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
/// They describe our connection, not the request.
const NOT_TO_SET: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

/// A request to the app that lacks only what differs from one sending to the next.
#[derive(Debug, Clone)]
pub struct Message {
    spoken: Spoken,
    /// Of a gRPC call; its body is empty until the app has told of its services.
    call: Option<Call>,
    request: Request<Bytes>,
    trace_id: Option<String>,
}

/// Why a request of the plan cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// Not an HTTP method.
    #[error("{0:?} is not an HTTP method")]
    Method(String),
    /// Not a path with query.
    #[error("{0:?} is not a path")]
    Path(String),
    /// Not a header. Its value may be secret and is not named.
    #[error("the header {0:?} cannot be sent")]
    Header(String),
    /// A gRPC request that does not say what to call.
    #[error("a gRPC request names no method")]
    NoCall,
    /// A gRPC call that is none.
    #[error(transparent)]
    Uncallable(#[from] Uncallable),
}

impl Message {
    /// A request of the warm-up: marked as such, and part of the trace `trace_id`.
    pub fn of_warmup(request: &plan::Request, trace_id: &str) -> Result<Self, Unsendable> {
        let mut message = match (request.protocol, &request.grpc) {
            (Protocol::Grpc, Some(call)) => Self::of_planned(&Call::of(call)?, &request.headers)?,
            (Protocol::Grpc, None) => return Err(Unsendable::NoCall),
            (protocol, _) => {
                let mut message = Self::new(&request.method, &request.path, &request.headers)?;
                *message.request.body_mut() = Bytes::from(request.body.clone().unwrap_or_default());
                Self { spoken: protocol.into(), ..message }
            }
        };
        message.request.headers_mut().entry(WARMUP).or_insert(HeaderValue::from_static("true"));
        message.trace_id = Some(trace_id.to_owned());
        Ok(message)
    }

    fn of_planned(call: &Call, headers: &[Header]) -> Result<Self, Unsendable> {
        let message = Self::new("POST", &call.method().path(), headers)?;
        Ok(Self { call: Some(call.clone()), ..message.over_grpc() })
    }

    /// A gRPC call of ours, with its framed message.
    pub fn of_call(path: &str, body: Bytes) -> Result<Self, Unsendable> {
        let mut message = Self::new("POST", path, &[])?;
        *message.request.body_mut() = body;
        Ok(message.over_grpc())
    }

    fn over_grpc(mut self) -> Self {
        self.request.headers_mut().insert(CONTENT_TYPE, GRPC);
        self.request.headers_mut().insert(TE, TRAILERS);
        Self { spoken: Spoken::Grpc, ..self }
    }

    /// The question of a probe.
    pub fn of_probe(path: &str, headers: &[Header]) -> Result<Self, Unsendable> {
        Self::new("GET", path, headers)
    }

    fn new(method: &str, path: &str, headers: &[Header]) -> Result<Self, Unsendable> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() =
            Method::try_from(method).map_err(|_| Unsendable::Method(method.to_owned()))?;
        *request.uri_mut() = origin_form(path)?;
        *request.headers_mut() = header_map(headers)?;
        request.headers_mut().entry(USER_AGENT).or_insert(OUR_USER_AGENT);
        Ok(Self { spoken: Spoken::Http, call: None, request, trace_id: None })
    }

    /// How it travels.
    #[must_use]
    pub fn protocol(&self) -> Spoken {
        self.spoken
    }

    /// What people know it by: the path with its query, or the gRPC method.
    #[must_use]
    pub fn name(&self) -> String {
        self.call.as_ref().map_or_else(|| self.request.uri().to_string(), |call| call.method().to_string())
    }

    /// The gRPC call, where it is one.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        self.call.as_ref()
    }

    /// Makes the body of a gRPC call, as the app `told` of its services.
    pub fn fill(&mut self, spoken: Spoken, told: Result<&Descriptors, Untold>) -> Result<(), Uncallable> {
        if let Some(call) = &self.call {
            *self.request.body_mut() = call.body(told)?;
            self.spoken = spoken;
        }
        Ok(())
    }

    /// Whether sending it twice does no more than sending it once.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.request.method().is_idempotent() && !self.spoken.is_grpc()
    }

    /// The request as it goes to `address`; `span` makes it a span of its own in its trace, which is not sampled.
    #[must_use]
    pub fn to(&self, address: SocketAddr, span: u64) -> Request<Bytes> {
        let mut request = self.request.clone();
        let trace = self.trace_id.as_ref().map(|trace_id| format!("00-{trace_id}-{:016x}-00", span.max(1)));
        for (name, value) in [(HOST, Some(address.to_string())), (TRACE, trace)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                request.headers_mut().entry(name).or_insert(value);
            }
        }
        request
    }
}

/// The path alone: whatever it holds, it names no host.
fn origin_form(path: &str) -> Result<Uri, Unsendable> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path_and_query = format!("{slash}{path}")
        .parse::<http::uri::PathAndQuery>()
        .map_err(|_| Unsendable::Path(path.to_owned()))?;
    Ok(Uri::from(path_and_query))
}

fn header_map(headers: &[Header]) -> Result<HeaderMap, Unsendable> {
    let mut map = HeaderMap::new();
    for header in headers {
        let unsendable = || Unsendable::Header(header.name.clone());
        let name: HeaderName = header.name.parse().map_err(|_| unsendable())?;
        let value: HeaderValue = header.value.parse().map_err(|_| unsendable())?;
        if !NOT_TO_SET.contains(&name) {
            map.append(name, value);
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn header(name: &str, value: &str) -> Header {
        Header { name: name.to_owned(), value: value.to_owned() }
    }

    fn check(request: &plan::Request, expected: &Expect) {
        let message = Message::of_warmup(request, "4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        let sent = message.to("[::1]:8080".parse().unwrap(), 0xabc);
        let mut text = format!("{} {}\n", sent.method(), sent.uri());
        for (name, value) in sent.headers() {
            text += &format!("{name}: {}\n", value.to_str().unwrap());
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn a_request_says_that_it_is_a_warm_up() {
        check(
            &plan::Request::get("/a?b=c"),
            &expect![[r"
                GET /a?b=c
                user-agent: kube-booster/1.0
                x-warmup-request: true
                host: [::1]:8080
                traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-00
            "]],
        );
    }

    #[test]
    fn a_requests_own_headers_come_before_ours_but_leave_the_connection_alone() {
        let headers = vec![
            header("Host", "shop.example"),
            header("Cookie", "a=1"),
            header("Cookie", "b=2"),
            header("Content-Length", "7"),
            header("User-Agent", "mine"),
        ];
        check(
            &plan::Request { method: "PUT".to_owned(), headers, ..plan::Request::get("a") },
            &expect![[r"
                PUT /a
                host: shop.example
                cookie: a=1
                cookie: b=2
                user-agent: mine
                x-warmup-request: true
                traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-00
            "]],
        );
    }

    #[test]
    fn a_call_is_a_post_with_the_headers_of_grpc_whatever_the_plan_says() {
        let headers =
            vec![header("authorization", "a"), header("Content-Type", "text/plain"), header("TE", "gzip")];
        let method = "shop.v1.Cart/Get".parse().unwrap();
        check(
            &plan::Request { headers, method: "PUT".to_owned(), ..plan::Request::call(&method, "{}") },
            &expect![[r"
                POST /shop.v1.Cart/Get
                authorization: a
                content-type: application/grpc
                te: trailers
                user-agent: kube-booster/1.0
                x-warmup-request: true
                host: [::1]:8080
                traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-00
            "]],
        );
    }

    #[test]
    fn people_know_a_request_by_its_path_or_method() {
        let name = |request| Message::of_warmup(&request, "").unwrap().name();
        assert_eq!(name(plan::Request::get("a?b=c")), "/a?b=c");
        assert_eq!(name(plan::Request::call(&"a.B/C".parse().unwrap(), "{}")), "a.B/C");
    }

    #[test]
    fn a_probe_is_no_part_of_the_warm_up() {
        let probe = Message::of_probe("/healthz", &[]).unwrap().to("127.0.0.1:80".parse().unwrap(), 1);
        assert!(!probe.headers().contains_key(WARMUP) && !probe.headers().contains_key(TRACE));
    }

    #[test]
    fn a_path_never_names_a_host() {
        let message = Message::of_probe("http://metadata/latest", &[]).unwrap();
        let sent = message.to("127.0.0.1:80".parse().unwrap(), 1);
        assert_eq!((sent.uri().host(), sent.uri().path()), (None, "/http://metadata/latest"));
        assert_eq!(Message::of_probe("//metadata", &[]).unwrap().request.uri().host(), None);
    }

    #[test]
    fn what_cannot_be_sent_is_named_without_secrets() {
        let unsendable = |request| Message::of_warmup(&request, "").unwrap_err().to_string();
        assert_eq!(unsendable(plan::Request::get("/a b")), r#""/a b" is not a path"#);
        let method = plan::Request { method: "G T".to_owned(), ..plan::Request::get("/") };
        assert_eq!(unsendable(method), r#""G T" is not an HTTP method"#);
        let headers = vec![header("Authorization", "secret\n")];
        let grpc = plan::Request { protocol: Protocol::Grpc, ..plan::Request::get("/") };
        assert_eq!(unsendable(grpc.clone()), "a gRPC request names no method");
        let call = |method: &str, payload: &str| {
            let (method, payload) = (method.to_owned(), payload.to_owned());
            unsendable(plan::Request { grpc: Some(plan::GrpcCall { method, payload }), ..grpc.clone() })
        };
        assert_eq!(
            call("a.B.C", "{}"),
            r#"the gRPC method "a.B.C" does not have one slash, between service and method"#
        );
        assert_eq!(call("a.B/C", "[]"), "a.B/C: the payload is no JSON object; correct the gRPC payload");
        let secret = plan::Request { headers, ..plan::Request::get("/") };
        assert_eq!(unsendable(secret), r#"the header "Authorization" cannot be sent"#);
    }
}
