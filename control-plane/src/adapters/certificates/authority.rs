//! A certificate authority of our own.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use super::serving::{Serving, ServingError};

/// A CA outlives every certificate that it signs by far; its rotation is a matter of its own.
const CA_DAYS: i64 = 3_650;
/// A serving certificate lives in memory, and is made anew with each start and at two thirds of this.
const SERVING_DAYS: i64 = 90;
/// For clocks that run behind ours.
const BACKDATED_HOURS: i64 = 1;

/// A CA: certificate and key.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    key: KeyPair,
}

/// What can go wrong with a CA.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate or its key is not readable.
    #[error("the CA is not readable")]
    Unreadable(#[source] rcgen::Error),
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Signing(#[source] rcgen::Error),
    /// What was made cannot be served.
    #[error("cannot serve the certificate that was made")]
    Serving(#[from] ServingError),
}

impl Authority {
    /// A new CA (ECDSA P-256).
    pub fn generate() -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Signing)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named("kube-booster CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, CA_DAYS);
        let certificate = params.self_signed(&key).map_err(AuthorityError::Signing)?.pem();
        Ok(Self { certificate, key })
    }

    /// The CA of `certificate` and `key`, both PEM.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key).map_err(AuthorityError::Unreadable)?;
        Issuer::from_ca_cert_pem(certificate, &key).map_err(AuthorityError::Unreadable)?;
        Ok(Self { certificate: certificate.to_owned(), key })
    }

    /// The certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The key, PEM.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// A certificate for a server of these `names`, with a key that exists nowhere else.
    pub fn issue(&self, names: Vec<String>) -> Result<Serving, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Signing)?;
        let mut params = CertificateParams::new(names).map_err(AuthorityError::Signing)?;
        params.distinguished_name = named("kube-booster");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, SERVING_DAYS);
        let issuer =
            Issuer::from_ca_cert_pem(&self.certificate, &self.key).map_err(AuthorityError::Unreadable)?;
        let signed = params.signed_by(&key, &issuer).map_err(AuthorityError::Signing)?;
        let ca = CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(ServingError::Pem)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Serving::new(vec![signed.der().clone(), ca], key)?)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn set_validity(params: &mut CertificateParams, days: i64) {
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::hours(BACKDATED_HOURS);
    params.not_after = now + time::Duration::days(days);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_survives_its_pem_form_and_signs_what_verifies_under_it() {
        let made = Authority::generate().unwrap();
        let read = Authority::from_pem(made.certificate(), &made.key()).unwrap();
        let serving = read.issue(vec!["reports.svc".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(made.certificate().as_bytes()).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .unwrap();
        let verify = |name: &'static str| {
            use rustls::client::danger::ServerCertVerifier;
            let chain = serving.chain();
            verifier.verify_server_cert(
                &chain[0],
                &chain[1..],
                &name.try_into().unwrap(),
                &[],
                rustls::pki_types::UnixTime::now(),
            )
        };
        assert!(verify("reports.svc").is_ok() && verify("127.0.0.1").is_ok());
        assert!(verify("webhook.svc").is_err());
    }

    #[test]
    fn what_is_no_ca_is_refused() {
        let made = Authority::generate().unwrap();
        assert!(matches!(Authority::from_pem("", &made.key()), Err(AuthorityError::Unreadable(_))));
        assert!(matches!(Authority::from_pem(made.certificate(), "key"), Err(AuthorityError::Unreadable(_))));
    }
}
