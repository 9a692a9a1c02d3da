//! Whom our servers are to clients: the CA, the serving certificate, and what the API server is told of them.

mod authority;
mod bundle;
mod clients;
mod files;
mod secret;
mod serving;

use std::path::PathBuf;

pub use authority::{Authority, AuthorityError};
pub use bundle::apply as apply_bundle;
use clap::Args;
pub use clients::{ClientCa, ClientCaError};
pub use files::{FilesError, read as read_files};
pub use secret::{SecretError, obtain as obtain_authority, publish as publish_ca};
pub use serving::{Served, Serving, ServingError};

/// Flags of the certificates.
#[derive(Debug, Args)]
pub struct CertificateArgs {
    /// Folder with tls.crt, tls.key and ca.crt to serve with; without it, a CA is made and kept in the Secret
    #[arg(long, value_name = "FOLDER")]
    pub cert_dir: Option<PathBuf>,
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

/// The name by which sidecars know the report server in `namespace`.
#[must_use]
pub fn report_server_name(namespace: &str) -> String {
    format!("kube-booster-reports.{namespace}.svc")
}
