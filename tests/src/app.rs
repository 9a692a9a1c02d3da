//! An app on loopback that behaves as it is told and remembers who asked what.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request that the app got.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Path and query
    pub path: String,
    /// All headers
    pub headers: HeaderMap,
}

/// The app; it stops when this is dropped.
#[derive(Debug)]
pub struct App {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<std::io::Result<()>>,
}

#[derive(Clone)]
struct Behaviour {
    status: StatusCode,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl App {
    /// Answers every request with `status`.
    pub async fn answering(status: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, seen) = (listener.local_addr()?.port(), Arc::default());
        let behaviour = Behaviour { status: StatusCode::from_u16(status)?, seen: Arc::clone(&seen) };
        let router = Router::new().fallback(answer).with_state(behaviour);
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { port, seen, server })
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The warm-up requests so far.
    #[must_use]
    pub fn warmup_requests(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|seen| seen.headers.contains_key("x-warmup-request")).cloned().collect()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(behaviour): State<Behaviour>, request: Request) -> StatusCode {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let seen = Seen { path, headers: request.headers().clone() };
    behaviour.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    behaviour.status
}
