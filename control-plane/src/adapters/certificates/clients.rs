//! The CA whose clients may call, as a file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};

/// Why a CA of clients cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaError {
    /// The file is not readable.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file
        path: PathBuf,
        /// Why
        source: io::Error,
    },
    /// Not PEM.
    #[error("{} is no PEM file of certificates", path.display())]
    Pem {
        /// The file
        path: PathBuf,
        /// Why
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate that is none.
    #[error("{} has a certificate that is not readable", path.display())]
    Certificate {
        /// The file
        path: PathBuf,
        /// Why
        source: rustls::Error,
    },
    /// No certificate in it.
    #[error("{} has no certificate of a CA", path.display())]
    Empty {
        /// The file
        path: PathBuf,
        /// Why
        source: VerifierBuilderError,
    },
}

/// What we show to our own webhook when we try it out: made with each start, and nowhere else.
#[derive(Debug)]
pub struct OwnCaller {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl OwnCaller {
    /// A new certificate that nobody has signed.
    pub fn generate() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() })
    }

    /// The chain of one, with its key.
    #[must_use]
    pub fn certified(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.certificate.clone()], self.key.clone_key())
    }
}

/// A CA, as it was in its file.
#[derive(Debug, Clone)]
pub struct ClientCa {
    pem: Vec<u8>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCa {
    /// Reads the CA certificates in the PEM file at `path`; `own` may call besides.
    pub async fn read(path: &Path, own: &OwnCaller) -> Result<Self, ClientCaError> {
        let owned = || path.to_owned();
        let pem = tokio::fs::read(path)
            .await
            .map_err(|source| ClientCaError::Unreadable { path: owned(), source })?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|source| ClientCaError::Pem { path: owned(), source })?;
            roots.add(certificate).map_err(|source| ClientCaError::Certificate { path: owned(), source })?;
        }
        if !roots.is_empty() {
            let own = own.certificate.clone();
            roots.add(own).map_err(|source| ClientCaError::Certificate { path: owned(), source })?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|source| ClientCaError::Empty { path: owned(), source })?;
        Ok(Self { pem, verifier })
    }

    /// Asks each client for a certificate of this CA.
    #[must_use]
    pub fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Whether the file says the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::certificates::Authority;

    async fn read(text: &[u8]) -> Result<ClientCa, ClientCaError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        ClientCa::read(file.path(), &OwnCaller::generate().unwrap()).await
    }

    #[tokio::test]
    async fn a_file_that_is_missing_empty_or_garbled_is_named() {
        let own = OwnCaller::generate().unwrap();
        let missing = ClientCa::read(Path::new("/nowhere/ca.crt"), &own).await.unwrap_err();
        assert_eq!(missing.to_string(), "cannot read /nowhere/ca.crt");
        for text in [&b""[..], b"garbage", &[0xff; 99]] {
            assert!(matches!(read(text).await, Err(ClientCaError::Empty { .. })));
        }
        let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(matches!(read(broken).await, Err(ClientCaError::Pem { .. })));
        let no_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(read(no_certificate).await, Err(ClientCaError::Certificate { .. })));
    }

    #[tokio::test]
    async fn a_file_with_one_ca_or_two_is_taken() {
        let [one, other] = [0, 1].map(|now| Authority::generate(now).unwrap());
        let both = [one.certificate(), other.certificate()].concat();
        let (one, both) =
            (read(one.certificate().as_bytes()).await.unwrap(), read(both.as_bytes()).await.unwrap());
        assert!(one.is_same(&one) && !one.is_same(&both));
    }
}
