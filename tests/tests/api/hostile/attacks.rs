//! What no API server does.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::{
    FutureExt,
    future::{LocalBoxFuture, join_all, pending},
};
use tests::webhook::{self, head};
use tokio::{io::AsyncWriteExt, time::sleep};

use super::{Attack, Target};

const JSON: &str = "application/json";
/// The largest body that is taken.
const LARGEST: usize = 3 << 20;

/// All attacks, by name.
pub(super) const ALL: [(&str, Attack); 15] = [
    ("nobody", |_| pending().boxed_local()),
    ("headers, byte by byte", |target| many(300, target, slow_headers)),
    ("bodies, byte by byte", |target| many(300, target, slow_body)),
    ("HTTP/2 requests without a body", |target| many(8, target, streams_without_body)),
    ("HTTP/2 streams, opened and reset", |target| many(4, target, rapid_reset)),
    ("HTTP/2 pings, windows and settings", |target| many(8, target, idle_frames)),
    ("4,000 connections without TLS", |target| idle_tcp(target).boxed_local()),
    ("connections with TLS and nothing else", |target| many(1_500, target, idle_tls)),
    ("connections to the other ports", |target| many(1_500, target, idle_elsewhere)),
    ("handshakes, over and over", |target| many(32, target, handshakes)),
    ("bodies of 4 MiB", |target| many(16, target, too_large)),
    ("bodies of 3 MiB that are one pod", |target| many(16, target, giant)),
    ("a pod of 250,000 containers", |target| many(16, target, crowded_pod)),
    ("nesting of a million levels", |target| many(16, target, deep)),
    ("random bytes, wrong types, broken text", |target| many(16, target, garbage)),
];

/// `count` times the same at once, each begun anew when it ends.
fn many<'a, F: Future<Output = anyhow::Result<()>> + 'a>(
    count: usize,
    target: &'a Target,
    attack: fn(&'a Target) -> F,
) -> LocalBoxFuture<'a, anyhow::Result<()>> {
    let again_and_again = move || async move {
        loop {
            if attack(target).await.is_err() {
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
    join_all((0..count).map(move |_| again_and_again())).map(|_: Vec<()>| Ok(())).boxed_local()
}

async fn trickle(target: &Target, begin: &str) -> anyhow::Result<()> {
    let mut stream = target.attacker.connect_tls().await?;
    stream.write_all(begin.as_bytes()).await?;
    loop {
        stream.write_all(b"a").await?;
        stream.flush().await?;
        sleep(Duration::from_millis(100)).await;
    }
}

async fn slow_headers(target: &Target) -> anyhow::Result<()> {
    trickle(target, "POST /mutate-v1-pod HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await
}

async fn slow_body(target: &Target) -> anyhow::Result<()> {
    trickle(target, &head(JSON, 100_000)).await
}

fn request() -> anyhow::Result<http::Request<()>> {
    let request = http::Request::post("https://localhost/mutate-v1-pod?timeout=5s");
    Ok(request.header("content-type", JSON).body(())?)
}

async fn streams_without_body(target: &Target) -> anyhow::Result<()> {
    let mut connection = target.attacker.connect_h2().await?;
    let mut streams = Vec::new();
    for _ in 0..256 {
        connection = connection.ready().await?;
        let (answer, mut body) = connection.send_request(request()?, false)?;
        body.send_data(Bytes::from_static(b"{"), false)?;
        streams.push((answer, body));
    }
    let (answers, _bodies): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
    join_all(answers).await;
    Ok(())
}

async fn rapid_reset(target: &Target) -> anyhow::Result<()> {
    let mut connection = target.attacker.connect_h2().await?;
    loop {
        for _ in 0..100 {
            connection = connection.ready().await?;
            let (_, mut body) = connection.send_request(request()?, false)?;
            body.send_reset(h2::Reason::CANCEL);
        }
        tokio::task::yield_now().await;
    }
}

async fn idle_frames(target: &Target) -> anyhow::Result<()> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const WINDOW: [u8; 13] = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let (mut answers, mut stream) = tokio::io::split(target.attacker.connect_tls_h2().await?);
    stream.write_all(PREFACE).await?;
    let flood = [&SETTINGS[..], &PING, &WINDOW].concat().repeat(100);
    let flooding = async {
        loop {
            stream.write_all(&flood).await?;
            stream.flush().await?;
        }
    };
    tokio::select! {
        ended = flooding => ended,
        ended = closed(&mut answers) => ended,
    }
}

async fn idle_tcp(target: &Target) -> anyhow::Result<()> {
    let mut open = Vec::new();
    while open.len() < 4_000 {
        open.push(target.attacker.connect().await.context("a connection")?);
    }
    pending().await
}

async fn idle_tls(target: &Target) -> anyhow::Result<()> {
    let mut stream = target.attacker.connect_tls().await?;
    closed(&mut stream).await
}

async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> anyhow::Result<()> {
    tokio::io::copy(stream, &mut tokio::io::sink()).await?;
    Ok(())
}

async fn idle_elsewhere(target: &Target) -> anyhow::Result<()> {
    let [one, other] = target.others;
    let mut one = target.attacker.connect_to(one).await?;
    let mut other = target.attacker.connect_to(other).await?;
    let (one, other) = futures::join!(closed(&mut one), closed(&mut other));
    one.and(other)
}

async fn handshakes(target: &Target) -> anyhow::Result<()> {
    target.attacker.connect_tls().await.map(drop)
}

async fn post_over_and_over(target: &Target, content_type: &str, body: &[u8]) -> anyhow::Result<()> {
    let mut stream = target.attacker.connect_tls().await?;
    loop {
        webhook::post(&mut stream, content_type, body).await?;
    }
}

async fn too_large(target: &Target) -> anyhow::Result<()> {
    post_over_and_over(target, JSON, &vec![b' '; 4 << 20]).await
}

fn pod_with(spec: &str) -> Vec<u8> {
    let annotations = r#"{"annotations":{"kube-booster.io/warmup":"enabled"}}"#;
    format!(
        r#"{{"request":{{"uid":"u","dryRun":true,"object":{{"metadata":{annotations},"spec":{spec}}}}}}}"#
    )
    .into()
}

async fn giant(target: &Target) -> anyhow::Result<()> {
    let padding = "x".repeat(LARGEST - 1_000);
    let pod = pod_with(&format!(r#"{{"containers":[{{"name":"a","padding":"{padding}"}}]}}"#));
    post_over_and_over(target, JSON, &pod).await
}

async fn crowded_pod(target: &Target) -> anyhow::Result<()> {
    let pod = pod_with(&format!(r#"{{"containers":[{}{{"name":""}}]}}"#, r#"{"name":""},"#.repeat(250_000)));
    post_over_and_over(target, JSON, &pod).await
}

async fn deep(target: &Target) -> anyhow::Result<()> {
    let (open, close) = ("[".repeat(1 << 20), "]".repeat(1 << 20));
    post_over_and_over(target, JSON, &pod_with(&format!(r#"{{"containers":[],"deep":{open}{close}}}"#))).await
}

async fn garbage(target: &Target) -> anyhow::Result<()> {
    let mut stream = target.attacker.connect_tls().await?;
    // Of a linear congruential generator; its lowest bits are of little worth.
    let noise = std::iter::successors(Some(1_u64), |seed| {
        Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    });
    let noise: Vec<u8> = noise.map(|seed| seed.to_be_bytes()[0]).take(100_000).collect();
    loop {
        for (content_type, body) in [
            (JSON, &noise[..]),
            ("text/plain", &webhook::usual()),
            (JSON, b"{\"request\":{\"uid\":\"\xff\xfe\"}}"),
            (JSON, br#"{"request":{"uid":"1","uid":"2"},"request":{}}"#),
            (JSON, b""),
        ] {
            webhook::post(&mut stream, content_type, body).await?;
        }
    }
}
