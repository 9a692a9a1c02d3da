//! Connections: as many as asked for, so that each worker of the app is reached.

use std::{collections::BTreeMap, net::SocketAddr};

use proto::{
    plan::{Limits, Plan, Protocol},
    report::Report,
};
use tokio::net::{TcpListener, TcpSocket};

use crate::{
    app::{App, Reply},
    control_plane::ControlPlane,
    setting::{Setting, quick},
    versions::{self, Manner, Speaks},
};

async fn carry_out(plan: &Plan) -> Report {
    let control_plane = ControlPlane::start().await;
    Setting::new(plan, &control_plane).live().await;
    control_plane.report()
}

/// `count` requests one after the other over at least `connections`.
fn spread(port: u16, count: u32, connections: u32) -> Plan {
    Plan { limits: Limits { concurrency: 1, connections, ..Limits::default() }, ..quick(port, count, 60_000) }
}

/// Another worker on the same port, to which the kernel gives its share of connections.
fn worker(at: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(at).unwrap();
    socket.listen(128).unwrap()
}

/// Workers that have a listening socket each, as pre-fork servers do.
fn workers(count: usize) -> Vec<App> {
    let first = worker("127.0.0.1:0".parse().unwrap());
    let at = first.local_addr().unwrap();
    let listeners = std::iter::once(first).chain((1..count).map(|_| worker(at)));
    listeners.map(|listener| App::on(listener, |_| Reply::Status(200))).collect()
}

#[tokio::test]
async fn with_enough_connections_each_worker_is_reached() {
    let workers = workers(3);
    // That one of them gets none of 60 connections happens once in ten thousand million times.
    let report = carry_out(&spread(workers[0].port, 120, 60)).await;
    assert_eq!((report.request_count, report.failed_count, report.connections), (120, 0, 60));
    let requests: Vec<_> = workers.iter().map(|worker| worker.paths().len()).collect();
    assert_eq!(requests.iter().sum::<usize>(), 120);
    // Each connection carries two.
    assert!(requests.iter().all(|requests| *requests > 0 && requests % 2 == 0), "{requests:?}");
}

#[tokio::test]
async fn one_connection_reaches_one_worker() {
    let workers = workers(3);
    let report = carry_out(&spread(workers[0].port, 40, 1)).await;
    assert_eq!((report.request_count, report.connections), (40, 1));
    let mut requests: Vec<_> = workers.iter().map(|worker| worker.paths().len()).collect();
    requests.sort_unstable();
    assert_eq!(requests, [0, 0, 40]);
}

#[tokio::test]
async fn fewer_requests_than_connections_use_as_many_as_they_are() {
    let app = App::start(|_| Reply::Status(200)).await;
    let report = carry_out(&spread(app.port, 5, 64)).await;
    assert_eq!((report.request_count, report.connections), (5, 5));
}

#[tokio::test]
async fn connections_that_the_app_closes_are_opened_again() {
    let app = App::start(|index| if index == 3 { Reply::AnnounceClose } else { Reply::Status(200) }).await;
    let report = carry_out(&spread(app.port, 20, 4)).await;
    assert_eq!((report.request_count, report.failed_count, report.connections), (20, 0, 5));
}

#[tokio::test]
async fn over_http2_requests_are_spread_over_the_connections_in_turn() {
    for (protocol, speaks) in [(Protocol::H2c, Speaks::Clear), (Protocol::Https, Speaks::TlsHttp2)] {
        let app = versions::App::start(Manner::of(speaks)).await;
        let mut plan = spread(app.port, 40, 8);
        plan.steps[0].requests[0].protocol = protocol;
        let report = carry_out(&plan).await;
        assert_eq!((report.request_count, report.failed_count, report.connections), (40, 0, 8));
        let mut by_connection = BTreeMap::<_, usize>::new();
        for seen in app.seen() {
            *by_connection.entry(seen.peer).or_default() += 1;
        }
        assert_eq!(by_connection.into_values().collect::<Vec<_>>(), [5; 8], "{protocol:?}");
    }
}

#[tokio::test]
async fn requests_that_leave_at_once_share_one_http2_connection() {
    let app = versions::App::start(Manner::of(Speaks::Clear)).await;
    let mut plan = spread(app.port, 40, 1);
    plan.limits.concurrency = 8;
    plan.steps[0].requests[0].protocol = Protocol::H2c;
    let report = carry_out(&plan).await;
    assert_eq!((report.request_count, report.failed_count, report.connections), (40, 0, 1));
}
