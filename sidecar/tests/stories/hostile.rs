//! Apps that misbehave on purpose: what they did is counted as what it was, and the sidecar holds little meanwhile.

use std::{fs, io};

use futures::future::BoxFuture;
use proto::{
    plan::{Plan, Protocol},
    report::Report,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    control_plane::ControlPlane,
    frames::{self, ANSWER, END_HEADERS, END_STREAM, Http2, frame},
    process::Process,
    setting::{Setting, plan},
};

/// Of memory that no file backs, also of a debug build; the container's limit is twice as much.
const MOST_BYTES: u64 = 8 << 20;
/// How much of a kind makes a flood: some MB, read within the time of a request.
const FLOOD: usize = 50_000;

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

type Attack = fn(TcpStream) -> BoxFuture<'static, io::Result<()>>;

/// Answers each connection by `attack`.
async fn start(attack: Attack) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The sidecar may hang up at any time.
            tokio::spawn(attack(stream));
        }
    });
    port
}

/// The report of three requests to such an app, by the program itself: its memory is looked at afterwards.
async fn warm(protocol: Protocol, attack: Attack) -> Report {
    let control_plane = ControlPlane::start().await;
    let mut plan: Plan = plan(start(attack).await, 3, 60);
    plan.steps[0].requests[0].protocol = protocol;
    let setting = Setting::new(&plan, &control_plane);
    let mut process = Process::start_alone(&setting);
    process.says("report recorded; parked").await;
    let held = held(process.id());
    assert!(held <= MOST_BYTES, "{held} bytes held");
    control_plane.report()
}

/// Bytes that the process held at most, without those of its file.
fn held(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kibibytes = |field: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    1_024 * kibibytes("VmHWM").saturating_sub(kibibytes("RssFile"))
}

async fn fails_by(protocol: Protocol, cause: &str, attack: Attack) {
    let report = warm(protocol, attack).await;
    assert_eq!((report.request_count, report.failed_count), (3, 3), "{}", report.message);
    assert!(report.message.contains(&format!("3 x {cause}")), "{}", report.message);
}

async fn succeeds(protocol: Protocol, attack: Attack) {
    let report = warm(protocol, attack).await;
    assert_eq!((report.request_count, report.failed_count), (3, 0), "{}", report.message);
}

/// Waits for a request's head.
async fn asked(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
    }
    Ok(())
}

/// Waits for a request, then sends `start`, and `more` until the sidecar has enough of it.
async fn without_end(mut stream: TcpStream, start: &str, more: &str) -> io::Result<()> {
    asked(&mut stream).await?;
    stream.write_all(start.as_bytes()).await?;
    loop {
        stream.write_all(more.as_bytes()).await?;
    }
}

#[tokio::test]
async fn headers_without_end_are_not_http() {
    let attack: Attack = |stream| {
        let more = format!("X-Bomb: {}\r\n", "a".repeat(1_000));
        Box::pin(async move { without_end(stream, "HTTP/1.1 200 OK\r\n", &more).await })
    };
    fails_by(Protocol::Http, "not HTTP", attack).await;
}

#[tokio::test]
async fn one_header_without_end_is_not_http() {
    let attack: Attack = |stream| {
        Box::pin(async move { without_end(stream, "HTTP/1.1 200 OK\r\nX-Bomb: ", &"a".repeat(1_000)).await })
    };
    fails_by(Protocol::Http, "not HTTP", attack).await;
}

#[tokio::test]
async fn a_status_line_without_end_is_not_http() {
    let attack: Attack =
        |stream| Box::pin(async move { without_end(stream, "HTTP/1.1 200 ", &"a".repeat(1_000)).await });
    fails_by(Protocol::Http, "not HTTP", attack).await;
}

#[tokio::test]
async fn a_chunk_extension_without_end_is_not_http() {
    let attack: Attack = |stream| {
        let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
        Box::pin(async move { without_end(stream, start, &"a".repeat(1_000)).await })
    };
    fails_by(Protocol::Http, "not HTTP", attack).await;
}

#[tokio::test]
async fn trailers_without_end_are_not_http() {
    let attack: Attack = |stream| {
        let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        let more = format!("X-Bomb: {}\r\n", "a".repeat(1_000));
        Box::pin(async move { without_end(stream, start, &more).await })
    };
    fails_by(Protocol::Http, "not HTTP", attack).await;
}

#[tokio::test]
async fn a_chunked_body_without_end_is_cut_and_its_status_counts() {
    let attack: Attack = |stream| {
        let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let more = format!("3e8\r\n{}\r\n", "a".repeat(1_000));
        Box::pin(async move { without_end(stream, start, &more).await })
    };
    succeeds(Protocol::Http, attack).await;
}

#[tokio::test]
async fn a_body_that_ends_half_way_is_no_response() {
    let attack: Attack = |mut stream| {
        Box::pin(async move {
            asked(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await
        })
    };
    fails_by(Protocol::Http, "connection closed", attack).await;
}

#[tokio::test]
async fn a_head_that_ends_half_way_is_no_response() {
    let attack: Attack = |mut stream| {
        Box::pin(async move {
            asked(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await
        })
    };
    fails_by(Protocol::Http, "connection closed", attack).await;
}

#[tokio::test]
async fn a_flood_of_interim_responses_is_read_past() {
    let attack: Attack = |mut stream| {
        Box::pin(async move {
            loop {
                asked(&mut stream).await?;
                for _ in 0..FLOOD / 100 {
                    stream.write_all("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100).as_bytes()).await?;
                }
                stream.write_all(GOOD.as_bytes()).await?;
            }
        })
    };
    succeeds(Protocol::Http, attack).await;
}

#[tokio::test]
async fn responses_that_nobody_asked_for_are_not_taken_for_later_ones() {
    let attack: Attack = |stream| {
        let unasked = GOOD.replace("200 OK", "500 No").repeat(100);
        Box::pin(async move { without_end(stream, GOOD, &unasked).await })
    };
    succeeds(Protocol::Http, attack).await;
}

#[tokio::test]
async fn a_switch_of_protocols_is_no_success() {
    let attack: Attack = |mut stream| {
        Box::pin(async move {
            asked(&mut stream).await?;
            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
            stream.write_all(switch.as_bytes()).await?;
            std::future::pending().await
        })
    };
    fails_by(Protocol::Http, "101", attack).await;
}

/// Sends `frame` many times, then answers each request well.
async fn flooded(stream: TcpStream, frame: Vec<u8>) -> io::Result<()> {
    let mut app = Http2::accept(stream).await?;
    let hundred = frame.repeat(100);
    for _ in 0..FLOOD / 100 {
        app.send(&hundred).await?;
    }
    loop {
        let id = app.next_request().await?;
        app.answer(id).await?;
    }
}

#[tokio::test]
async fn floods_of_frames_that_ask_for_nothing_are_read_past() {
    let settings: Attack = |stream| Box::pin(flooded(stream, frame(frames::SETTINGS, 0, 0, &[])));
    let pings: Attack = |stream| Box::pin(flooded(stream, frame(frames::PING, 0, 0, b"pingpong")));
    let windows: Attack =
        |stream| Box::pin(flooded(stream, frame(frames::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())));
    for attack in [settings, pings, windows] {
        succeeds(Protocol::H2c, attack).await;
    }
}

#[tokio::test]
async fn streams_that_are_reset_are_no_responses() {
    let attack: Attack = |stream| {
        Box::pin(async move {
            let mut app = Http2::accept(stream).await?;
            loop {
                let id = app.next_request().await?;
                app.send(&frame(frames::RST_STREAM, 0, id, &2_u32.to_be_bytes()).repeat(100)).await?;
            }
        })
    };
    fails_by(Protocol::H2c, "connection closed", attack).await;
}

/// Answers a request with headers of which each packed block is `block`, continued without end.
async fn continued(stream: TcpStream, block: Vec<u8>) -> io::Result<()> {
    let mut app = Http2::accept(stream).await?;
    let id = app.next_request().await?;
    app.send(&frame(frames::HEADERS, 0, id, &[ANSWER])).await?;
    loop {
        app.send(&frame(frames::CONTINUATION, 0, id, &block)).await?;
    }
}

#[tokio::test]
async fn headers_over_http2_without_end_are_no_response() {
    // A header that is to be forgotten: its name is new, both are as long as they say.
    let plain: Attack =
        |stream| Box::pin(continued(stream, [&b"\x00\x01x\x7f\x81\x06"[..], &[b'a'; 896]].concat()));
    let empty: Attack = |stream| Box::pin(continued(stream, Vec::new()));
    for attack in [plain, empty] {
        fails_by(Protocol::H2c, "not HTTP", attack).await;
    }
}

#[tokio::test]
async fn small_headers_that_unpack_to_many_megabytes_are_no_response() {
    let attack: Attack = |stream| {
        Box::pin(async move {
            let mut app = Http2::accept(stream).await?;
            // A header of some 4 KB that is to be remembered, then 10,000 times by its number.
            let remembered = [&b"\x40\x01x\x7f\x81\x1e"[..], &[b'a'; 3_968]].concat();
            let block = [&[ANSWER], &remembered[..], &[0xbe; 10_000]].concat();
            loop {
                let id = app.next_request().await?;
                app.send(&frame(frames::HEADERS, END_HEADERS | END_STREAM, id, &block)).await?;
            }
        })
    };
    fails_by(Protocol::H2c, "not HTTP", attack).await;
}

#[tokio::test]
async fn a_body_over_http2_that_ignores_the_window_is_no_response() {
    let attack: Attack = |stream| {
        Box::pin(async move {
            let mut app = Http2::accept(stream).await?;
            let id = app.next_request().await?;
            app.send(&frame(frames::HEADERS, END_HEADERS, id, &[ANSWER])).await?;
            loop {
                app.send(&frame(frames::DATA, 0, id, &[b'a'; 16_384])).await?;
            }
        })
    };
    fails_by(Protocol::H2c, "not HTTP", attack).await;
}

#[tokio::test]
async fn a_frame_longer_than_allowed_is_no_response() {
    let attack: Attack = |stream| {
        Box::pin(async move {
            let mut app = Http2::accept(stream).await?;
            app.next_request().await?;
            app.send(&[0xff, 0xff, 0xff, frames::DATA, 0, 0, 0, 0, 1]).await?;
            loop {
                app.send(&[b'a'; 16_384]).await?;
            }
        })
    };
    fails_by(Protocol::H2c, "not HTTP", attack).await;
}
