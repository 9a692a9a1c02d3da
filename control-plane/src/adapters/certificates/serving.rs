//! The certificate that our servers show, exchangeable while they serve.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::ground::rotation::Validity;

/// A certificate chain with its key.
#[derive(Debug, Clone)]
pub struct Serving {
    certified: Arc<CertifiedKey>,
    validity: Validity,
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
        let validity = validity(leaf)?;
        let provider = rustls::crypto::ring::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(ServingError::Key)?;
        Ok(Self { certified: Arc::new(certified), validity })
    }

    /// The same from PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, ServingError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(ServingError::Pem)?;
        Self::new(chain.map_err(ServingError::Pem)?, key)
    }

    /// When it is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

/// When `certificate` is valid.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Result<Validity, ServingError> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| ServingError::Certificate)?;
    let validity = parsed.validity();
    Ok(Validity { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() })
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
    fn a_certificate_is_due_after_sixty_of_its_ninety_days() {
        let serving = Authority::generate(0).unwrap().issue(vec!["a".to_owned()], None, 0).unwrap();
        assert!(!serving.validity().is_due(59 * 86_400) && serving.validity().is_due(60 * 86_400));
    }

    #[test]
    fn a_key_of_another_certificate_does_not_fit() {
        let (one, other) = (Authority::generate(0).unwrap(), Authority::generate(0).unwrap());
        let mixed = Serving::from_pem(one.certificate().as_bytes(), other.key().as_bytes());
        assert!(matches!(mixed, Err(ServingError::Key(_))));
        assert!(matches!(Serving::from_pem(b"", other.key().as_bytes()), Err(ServingError::Certificate)));
    }
}
