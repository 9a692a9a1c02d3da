//! A request to the app, checked once and stamped each time that it is sent.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT},
};
use proto::plan::{self, Header, Protocol};

const OUR_USER_AGENT: HeaderValue = HeaderValue::from_static("kube-booster/1.0");
const WARMUP: HeaderName = HeaderName::from_static("x-warmup-request");
const TRACE: HeaderName = HeaderName::from_static("traceparent");
/// They describe our connection, not the request.
const NOT_TO_SET: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

/// A request to the app that lacks only what differs from one sending to the next.
#[derive(Debug, Clone)]
pub struct Message {
    protocol: Protocol,
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
}

impl Message {
    /// A request of the warm-up: marked as such, and part of the trace `trace_id`.
    pub fn of_warmup(request: &plan::Request, trace_id: &str) -> Result<Self, Unsendable> {
        let mut message = Self::new(&request.method, &request.path, &request.headers)?;
        *message.request.body_mut() = Bytes::from(request.body.clone().unwrap_or_default());
        message.request.headers_mut().entry(WARMUP).or_insert(HeaderValue::from_static("true"));
        message.trace_id = Some(trace_id.to_owned());
        message.protocol = request.protocol;
        Ok(message)
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
        Ok(Self { protocol: Protocol::Http, request, trace_id: None })
    }

    /// How it travels.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether sending it twice does no more than sending it once.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.request.method().is_idempotent() && self.protocol != Protocol::Grpc
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
        let secret = plan::Request { headers, ..plan::Request::get("/") };
        assert_eq!(unsendable(secret), r#"the header "Authorization" cannot be sent"#);
    }
}
