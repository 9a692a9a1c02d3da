//! Ports of ours.

use std::net::{Ipv6Addr, SocketAddr};

use anyhow::Context;
use axum::Router;
use tokio::net::{TcpListener, ToSocketAddrs};

use super::tasks::Tasks;
use crate::adapters::{
    metrics::Metrics,
    server::{self, Door},
};

async fn on(address: impl ToSocketAddrs + std::fmt::Debug) -> anyhow::Result<TcpListener> {
    TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address:?}"))
}

/// On all addresses, of whichever family the machine has.
pub(super) async fn on_all(port: u16) -> anyhow::Result<TcpListener> {
    match on((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => on(("0.0.0.0", port)).await,
    }
}

/// Serves `router` in clear text, for operators.
pub(super) async fn plain(
    tasks: &mut Tasks,
    address: SocketAddr,
    router: Router,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let listener =
        if address.ip().is_unspecified() { on_all(address.port()).await? } else { on(address).await? };
    let (metrics, leaving) = (metrics.clone(), tasks.retire());
    let door = Door { name: "admin", limits: server::ADMIN, tls: None, metrics, leaving };
    tasks.spawn("admin server", server::serve(listener, door, router, tasks.stop()));
    Ok(())
}
