//! The certificate that our servers show, exchangeable while they serve.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// A certificate chain with its key.
#[derive(Debug, Clone)]
pub struct Serving {
    certified: Arc<CertifiedKey>,
    not_before: i64,
    not_after: i64,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// Not PEM, or nothing in it.
    #[error("not a PEM file of the kind that was expected")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The key is of no kind that ring signs with, or is not the certificate's.
    #[error("the key does not fit")]
    Key(#[source] rustls::Error),
    /// The certificate is not readable.
    #[error("the certificate is not readable")]
    Certificate,
}

impl Serving {
    /// The chain, the server's own certificate first, with its key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, ServingError> {
        let leaf = chain.first().ok_or(ServingError::Certificate)?;
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf).map_err(|_| ServingError::Certificate)?;
        let (not_before, not_after) =
            (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
        let provider = rustls::crypto::ring::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(ServingError::Key)?;
        Ok(Self { certified: Arc::new(certified), not_before, not_after })
    }

    /// The same from PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, ServingError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(ServingError::Pem)?;
        Self::new(chain.map_err(ServingError::Pem)?, key)
    }

    /// When it expires, in seconds since 1970.
    #[must_use]
    pub fn expires(&self) -> i64 {
        self.not_after
    }

    /// Whether, at `now` (seconds since 1970, by the wall clock), two thirds of its life are over.
    #[must_use]
    pub fn is_due(&self, now: i64) -> bool {
        now >= self.not_before + (self.not_after - self.not_before) / 3 * 2
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

/// What is being served; the handle to exchange it.
#[derive(Debug, Clone)]
pub struct Served(Arc<RwLock<Serving>>);

impl Served {
    /// Serves `serving`.
    #[must_use]
    pub fn new(serving: Serving) -> Self {
        Self(Arc::new(RwLock::new(serving)))
    }

    /// Serves `serving` from the next handshake on; connections stay.
    pub fn exchange(&self, serving: Serving) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = serving;
    }

    /// What is being served.
    #[must_use]
    pub fn current(&self) -> Serving {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::certificates::Authority;

    #[test]
    fn a_certificate_is_due_at_two_thirds_of_its_life_by_the_wall_clock() {
        let serving = Authority::generate().unwrap().issue(vec!["a".to_owned()]).unwrap();
        let life = serving.not_after - serving.not_before;
        assert!(!serving.is_due(serving.not_before + life / 2));
        assert!(serving.is_due(serving.not_before + life * 7 / 10));
    }

    #[test]
    fn a_key_of_another_certificate_does_not_fit() {
        let (one, other) = (Authority::generate().unwrap(), Authority::generate().unwrap());
        let mixed = Serving::from_pem(one.certificate().as_bytes(), other.key().as_bytes());
        assert!(matches!(mixed, Err(ServingError::Key(_))));
        assert!(matches!(Serving::from_pem(b"", other.key().as_bytes()), Err(ServingError::Certificate)));
    }
}
