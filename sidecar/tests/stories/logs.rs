//! What a log may tell: nothing that was sent to the app, and nothing that it said.

use proto::plan::{Header, Plan, Request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    control_plane::ControlPlane,
    process::Process,
    setting::{Setting, plan},
};

const SECRET: &str = "s3cr3t";

/// Answers each connection once by `answer`, then closes it.
async fn app(answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                // A probe says nothing.
                if stream.read(&mut [0; 4_096]).await.is_ok_and(|length| length > 0) {
                    _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn no_header_and_no_body_is_in_the_log_or_in_the_report() {
    for answer in [
        format!("HTTP/1.1 500 {SECRET}\r\nSet-Cookie: {SECRET}\r\nContent-Length: 6\r\n\r\n{SECRET}"),
        format!("HTTP/1.1 302 Found\r\nLocation: /{SECRET}\r\nContent-Length: 0\r\n\r\n"),
        format!("{SECRET}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{SECRET} {SECRET}: 1\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{SECRET}"),
    ] {
        let control_plane = ControlPlane::start().await;
        let headers = vec![Header { name: "Authorization".to_owned(), value: SECRET.to_owned() }];
        let mut plan: Plan = plan(app(answer.clone()).await, 2, 20);
        plan.steps[0].requests[0] = Request {
            method: "POST".to_owned(),
            headers,
            body: Some(SECRET.to_owned()),
            ..Request::get("/orders")
        };
        let setting = Setting::new(&plan, &control_plane);
        let mut process = Process::start_alone(&setting);
        let said = process.all_until("waiting in this process").await;
        assert!(said.len() >= 4 && !said.iter().any(|line| line.contains(SECRET)), "{said:#?}");
        assert!(!format!("{:?}", control_plane.report()).contains(SECRET), "{answer}");
    }
}
