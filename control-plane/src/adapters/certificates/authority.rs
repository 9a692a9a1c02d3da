//! A certificate authority of our own.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use super::serving::{Serving, ServingError, validity};
use crate::ground::rotation::Validity;

const DAY: i64 = 86_400;
/// A CA outlives every certificate that it signs by far.
const CA_LIFE: i64 = 3_650 * DAY;
/// A serving certificate lives in memory, and is made anew with each start and at two thirds of this.
const SERVING_LIFE: i64 = 90 * DAY;
/// For clocks that run behind ours, in seconds.
const BACKDATED: i64 = 3_600;

/// A CA: certificate and key.
#[derive(Debug, Clone)]
pub struct Authority {
    certificate: String,
    key: Arc<KeyPair>,
    validity: Validity,
}

/// What can go wrong with a CA.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate or its key is not readable.
    #[error("the CA is not readable")]
    Unreadable(#[source] rcgen::Error),
    /// The certificate is another key's, or one that may not sign.
    #[error("the certificate is not a CA with this key")]
    Unfit,
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Signing(#[source] rcgen::Error),
    /// What was made cannot be served.
    #[error("cannot serve the certificate that was made")]
    Serving(#[from] ServingError),
}

impl Authority {
    /// A new CA (ECDSA P-256), made at `now`.
    pub fn generate(now: i64) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Signing)?;
        let certificate =
            ca_params(&key, now, now + CA_LIFE).self_signed(&key).map_err(AuthorityError::Signing)?;
        let validity = validity(certificate.der())?;
        Ok(Self { certificate: certificate.pem(), key: Arc::new(key), validity })
    }

    /// The CA of `certificate` and `key`, both PEM.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key).map_err(AuthorityError::Unreadable)?;
        Issuer::from_ca_cert_pem(certificate, &key).map_err(AuthorityError::Unreadable)?;
        let validity = check(certificate, &key)?;
        Ok(Self { certificate: certificate.to_owned(), key: Arc::new(key), validity })
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

    /// When it is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether `certificate` (PEM) says that its key is this CA's.
    #[must_use]
    pub fn is_certified_by(&self, certificate: &str) -> bool {
        check(certificate, &self.key).is_ok()
    }

    /// A certificate of this CA for `successor` (PEM): who trusts only this one trusts the successor by it.
    pub fn cross_sign(&self, successor: &Self) -> Result<String, AuthorityError> {
        let until = successor.validity.until.min(self.validity.until);
        let mut params = ca_params(&successor.key, successor.validity.from + BACKDATED, until);
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&*successor.key, &self.issuer()?).map_err(AuthorityError::Signing)?;
        Ok(signed.pem())
    }

    /// A certificate for a server of these `names`, with a key that exists nowhere else; `cross` goes with it.
    pub fn issue(
        &self,
        names: Vec<String>,
        cross: Option<&str>,
        now: i64,
    ) -> Result<Serving, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Signing)?;
        let mut params = CertificateParams::new(names).map_err(AuthorityError::Signing)?;
        params.distinguished_name = named("kube-booster".to_owned());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, self.validity.until.min(now + SERVING_LIFE));
        let signed = params.signed_by(&key, &self.issuer()?).map_err(AuthorityError::Signing)?;
        let mut chain = vec![signed.der().clone()];
        if let Some(cross) = cross {
            chain.push(CertificateDer::from_pem_slice(cross.as_bytes()).map_err(ServingError::Pem)?);
        }
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Serving::new(chain, key)?)
    }

    fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, AuthorityError> {
        Issuer::from_ca_cert_pem(&self.certificate, &*self.key).map_err(AuthorityError::Unreadable)
    }
}

impl PartialEq for Authority {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
    }
}

/// The validity of `certificate` (PEM), if it is a CA's with this `key`.
fn check(certificate: &str, key: &KeyPair) -> Result<Validity, AuthorityError> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(ServingError::Pem)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| ServingError::Certificate)?;
    if !parsed.is_ca() || parsed.public_key().subject_public_key.data != key.public_key_raw() {
        return Err(AuthorityError::Unfit);
    }
    Ok(validity(&der)?)
}

/// The certificate of a CA may be followed by that of its successor, and no other: a path length of one.
fn ca_params(key: &KeyPair, now: i64, until: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    // A name of its own: a verifier looks for a signer by name first.
    let mark = key.public_key_raw().last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    params.distinguished_name = named(format!("kube-booster CA {mark:08x}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, until);
    params
}

fn named(name: String) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn set_validity(params: &mut CertificateParams, now: i64, until: i64) {
    let time = |seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    if let (Some(from), Some(until)) = (time(now - BACKDATED), time(until)) {
        (params.not_before, params.not_after) = (from, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ca_is_refused() {
        let made = Authority::generate(0).unwrap();
        assert_eq!(Authority::from_pem(made.certificate(), &made.key()).unwrap(), made);
        assert!(matches!(Authority::from_pem("", &made.key()), Err(AuthorityError::Unreadable(_))));
        assert!(matches!(Authority::from_pem(made.certificate(), "key"), Err(AuthorityError::Unreadable(_))));
        let other = Authority::generate(0).unwrap();
        let mixed = Authority::from_pem(made.certificate(), &other.key());
        assert!(matches!(mixed, Err(AuthorityError::Unfit)));
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::default().self_signed(&key).unwrap().pem();
        assert!(matches!(Authority::from_pem(&leaf, &key.serialize_pem()), Err(AuthorityError::Unfit)));
    }

    #[test]
    fn nothing_that_a_ca_signs_outlives_it() {
        let (old, new) = (Authority::generate(0).unwrap(), Authority::generate(3_000 * DAY).unwrap());
        let cross = Authority::from_pem(&old.cross_sign(&new).unwrap(), &new.key()).unwrap();
        assert_eq!(cross.validity(), Validity { from: new.validity().from, until: old.validity().until });
        let serving = old.issue(vec!["a".to_owned()], None, CA_LIFE - DAY).unwrap();
        assert_eq!(serving.validity().until, old.validity().until);
    }
}
