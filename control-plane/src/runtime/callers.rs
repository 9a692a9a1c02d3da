//! Keeps the webhook's TLS in step with the CA of those who may call it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::Stop;
use crate::adapters::{
    certificates::{ClientCa, OwnCaller, Served},
    server,
};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// Who may call the webhook: anybody, or whoever has a certificate of a CA.
#[derive(Debug)]
pub(super) struct Callers {
    file: Option<(PathBuf, ClientCa)>,
    own: OwnCaller,
}

impl Callers {
    /// Reads the CA, where there is one.
    pub(super) async fn read(file: Option<&PathBuf>) -> anyhow::Result<Self> {
        let own = OwnCaller::generate().context("cannot make a certificate")?;
        let Some(path) = file else { return Ok(Self { file: None, own }) };
        let ca = ClientCa::read(path, &own).await.context("cannot use --client-ca-file")?;
        Ok(Self { file: Some((path.clone(), ca)), own })
    }

    /// Us, when we try out our own webhook.
    pub(super) fn own(&self) -> &OwnCaller {
        &self.own
    }

    /// The webhook's TLS with `served`, as it is now and will be.
    pub(super) fn tls(&self, served: &Served) -> watch::Sender<TlsAcceptor> {
        watch::Sender::new(acceptor(served, self.file.as_ref().map(|(_, ca)| ca)))
    }

    /// Reads the file again and again until `stop`; what cannot be used leaves the last one in force.
    pub(super) async fn keep(self, served: Served, tls: watch::Sender<TlsAcceptor>, stop: Stop) {
        let Some((path, mut current)) = self.file else { return stop.cancelled().await };
        while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
            match ClientCa::read(&path, &self.own).await {
                Ok(ca) if ca.is_same(&current) => {}
                Ok(ca) => {
                    info!("another CA of callers");
                    // A new acceptor knows no session of the old one, so that nobody comes back without a certificate.
                    tls.send_replace(acceptor(&served, Some(&ca)));
                    current = ca;
                }
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    warn!(error = format!("{error:#}"), "keeping the CA of callers as it was");
                }
            }
        }
    }
}

fn acceptor(served: &Served, ca: Option<&ClientCa>) -> TlsAcceptor {
    server::tls(Arc::new(served.clone()), ca.map(ClientCa::verifier), &[b"h2", b"http/1.1"])
}
