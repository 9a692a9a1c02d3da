use axum::routing::get;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client};

use super::*;
use crate::adapters::certificates::{Authority, Served};

const GOAWAY: u8 = 7;

/// A server whose `/slow` says when it was asked, and takes a second to answer.
struct World {
    port: u16,
    stop: CancellationToken,
    asked: mpsc::Receiver<()>,
    server: JoinHandle<()>,
    roots: RootCertStore,
}

impl World {
    async fn start() -> Self {
        Self::limited(WEBHOOK).await
    }

    async fn limited(limits: Limits) -> Self {
        let now = jiff::Timestamp::now().as_second();
        let authority = Authority::generate(now).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
        let certificate = Served::new(authority.issue(vec!["localhost".to_owned()], None, now).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, stop) = (listener.local_addr().unwrap().port(), CancellationToken::new());
        let (sender, asked) = mpsc::channel(1);
        let slow = async move || {
            sender.send(()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            "done"
        };
        let router = Router::new().route("/slow", get(slow)).route("/", get(async || "ok"));
        let tls = tls(Arc::new(certificate), None, &[b"h2", b"http/1.1"]);
        let tls = Some(tokio::sync::watch::Sender::new(tls).subscribe());
        let (metrics, leaving) = (Metrics::default(), CancellationToken::new());
        let door = Door { name: "webhook", limits, tls, metrics, leaving };
        let server = tokio::spawn(serve(listener, door, router, stop.clone()));
        Self { port, stop, asked, server, roots }
    }

    async fn connect(&self, protocol: &[u8]) -> client::TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

async fn rest(stream: &mut client::TlsStream<TcpStream>) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_request_under_way_is_answered_and_its_connection_closed() {
    let mut world = World::start().await;
    let mut stream = world.connect(b"http/1.1").await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    world.asked.recv().await.unwrap();
    world.stop.cancel();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    world.server.await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", world.port)).await.is_err());
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_server() {
    let world = World::start().await;
    let mut stream = world.connect(b"http/1.1").await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    world.stop.cancel();
    timeout(Duration::from_secs(5), world.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_still_writes_while_the_server_stops_is_not_reset() {
    let world = World::start().await;
    let mut stream = world.connect(b"http/1.1").await;
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.unwrap();
    world.stop.cancel();
    assert!(rest(&mut stream).await.ends_with("ok"));
    for _ in 0..5 {
        stream.write_all(request).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The type of the next frame.
async fn frame(stream: &mut client::TlsStream<TcpStream>) -> u8 {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
    head[3]
}

async fn http_2(world: &World) -> client::TlsStream<TcpStream> {
    let mut stream = world.connect(b"h2").await;
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&empty_settings).await.unwrap();
    assert_eq!(frame(&mut stream).await, 4, "the server's settings");
    stream
}

async fn told_to_go_away(stream: &mut client::TlsStream<TcpStream>) {
    let told = async { while frame(stream).await != GOAWAY {} };
    timeout(Duration::from_secs(5), told).await.unwrap();
}

#[tokio::test]
async fn an_http_2_client_is_told_to_go_away() {
    let world = World::start().await;
    let mut stream = http_2(&world).await;
    world.stop.cancel();
    told_to_go_away(&mut stream).await;
}

#[tokio::test]
async fn an_http_2_client_that_pings_without_end_is_sent_away() {
    let world = World::start().await;
    let mut stream = http_2(&world).await;
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    // The server may close before it has read all.
    let _ = stream.write_all(&ping.repeat(10_000)).await;
    told_to_go_away(&mut stream).await;
}

#[tokio::test]
async fn an_http_2_client_whose_connection_is_old_is_told_to_make_another() {
    let world = World::limited(Limits { age: Duration::from_millis(200), ..WEBHOOK }).await;
    let mut stream = http_2(&world).await;
    told_to_go_away(&mut stream).await;
}

async fn clear(limits: Limits, leaving: CancellationToken) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::default();
    let door = Door { name: "admin", limits, tls: None, metrics, leaving };
    let router = Router::new().route("/", get(async || "ok\n"));
    tokio::spawn(serve(listener, door, router, CancellationToken::new()));
    address
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let address =
        clear(Limits { first_request: Duration::from_secs(2), ..ADMIN }, CancellationToken::new()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let start = Instant::now();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test]
async fn a_full_server_makes_room_for_who_comes_next() {
    let address = clear(Limits { connections: 2, ..ADMIN }, CancellationToken::new()).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        streams.push(stream);
    }
    let mut rest = Vec::new();
    streams[0].read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"ok\n"));
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the server has closed the connection");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_left_to_its_client_to_close() {
    let address = clear(ADMIN, CancellationToken::new()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(!ask(&mut stream).await.contains("connection: close"));
    // Go's clients close theirs after 90 s.
    tokio::time::sleep(Duration::from_secs(100)).await;
    ask(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_1_whose_connection_is_old_is_told_with_its_next_answer() {
    let address = clear(Limits { age: Duration::from_mins(10), ..ADMIN }, CancellationToken::new()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..5 {
        assert!(!ask(&mut stream).await.contains("connection: close"));
        tokio::time::sleep(Duration::from_mins(2)).await;
    }
    assert!(ask(&mut stream).await.contains("connection: close"));
}

#[tokio::test]
async fn a_client_of_http_1_is_told_that_we_leave_while_it_is_still_served() {
    let leaving = CancellationToken::new();
    let address = clear(ADMIN, leaving.clone()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    ask(&mut stream).await;
    leaving.cancel();
    assert!(ask(&mut stream).await.contains("connection: close"));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}
