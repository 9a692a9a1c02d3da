//! A Service on loopback: hands new connections to the control planes that are ready, as kube-proxy does.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use crate::ports::Ports;

/// A replica is asked this often whether it is ready: by then a kube-proxy has heard of it, too.
const INTERVAL: Duration = Duration::from_secs(1);

/// The Service; it stops, its connections included, when this is dropped.
#[derive(Debug)]
pub struct Forwarder {
    port: u16,
    _tasks: JoinSet<()>,
}

/// Ports of ready backends, the next one first.
type Ready = Arc<Mutex<Vec<u16>>>;

impl Forwarder {
    /// Hands connections to the webhooks of `replicas`, those of them that are ready, in turn.
    pub async fn to_webhooks(replicas: &[Ports]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let ready = Ready::default();
        refresh(&ready, replicas).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(Arc::clone(&ready), replicas.to_vec()));
        tasks.spawn(accept(listener, ready));
        Ok(Self { port, _tasks: tasks })
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn watch(ready: Ready, replicas: Vec<Ports>) {
    loop {
        sleep(INTERVAL).await;
        refresh(&ready, &replicas).await;
    }
}

async fn refresh(ready: &Ready, replicas: &[Ports]) {
    let mut found = Vec::new();
    for ports in replicas {
        if ports.is_ready().await {
            found.push(ports.webhook);
        }
    }
    *ready.lock().unwrap_or_else(PoisonError::into_inner) = found;
}

async fn accept(listener: TcpListener, ready: Ready) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        // Without a backend the connection is closed, as a Service without endpoints refuses it.
        let Some(port) = next(&ready) else { continue };
        connections.spawn(forward(client, port));
    }
}

fn next(ready: &Ready) -> Option<u16> {
    let mut ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
    let port = *ready.first()?;
    ready.rotate_left(1);
    Some(port)
}

async fn forward(mut client: TcpStream, port: u16) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    // Whoever ends first ends the other: there is nobody to tell.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
