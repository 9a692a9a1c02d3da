//! Whom our servers are to clients: the CA, the serving certificate, and what the API server is told of them.

mod authorities;
mod authority;
mod bundle;
mod clients;
mod configuration;
mod files;
mod secret;
mod serving;

use std::path::PathBuf;

pub use authorities::Authorities;
pub use authority::{Authority, AuthorityError};
pub use bundle::Bundle;
use clap::Args;
pub use clients::{ClientCa, ClientCaError, OwnCaller};
pub use configuration::{BundleError, Live, apply as apply_bundle, read as read_configuration};
pub use files::{FilesError, changes as file_changes, read as read_files};
pub use secret::{Occasion, SECRET, SecretError, obtain as obtain_authorities, publish as publish_bundle};
pub use serving::{Served, Serving, ServingError};

/// Flags of the certificates.
#[derive(Debug, Args)]
pub struct CertificateArgs {
    /// Folder with tls.crt, tls.key and ca.crt to serve with; without it, a CA is made and kept in the Secret
    #[arg(long, value_name = "FOLDER")]
    pub cert_dir: Option<PathBuf>,
}

/// What we serve with, and whom clients trust for it.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The certificate with its key.
    pub serving: Serving,
    /// The CAs under which it verifies; the one that signed it first.
    pub bundle: Bundle,
}

/// Names that the serving certificate holds, for a control plane in `namespace`.
///
/// `localhost` serves people behind `kubectl port-forward`.
#[must_use]
pub fn serving_names(namespace: &str) -> Vec<String> {
    let service =
        |name: &str| [format!("{name}.{namespace}.svc"), format!("{name}.{namespace}.svc.cluster.local")];
    let mut names: Vec<String> = service("kube-booster-webhook").into();
    names.extend(service("kube-booster-reports"));
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]);
    names
}

/// The name by which the API server knows the webhook in `namespace`.
#[must_use]
pub fn webhook_server_name(namespace: &str) -> String {
    format!("kube-booster-webhook.{namespace}.svc")
}

/// The name by which sidecars know the report server in `namespace`.
#[must_use]
pub fn report_server_name(namespace: &str) -> String {
    format!("kube-booster-reports.{namespace}.svc")
}
