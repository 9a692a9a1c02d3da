//! CAs of a test's own, of any age.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

/// A CA: the same name and key for all its certificates.
#[derive(Debug)]
pub struct TestCa {
    name: String,
    key: KeyPair,
}

/// From and until when a certificate is valid, in days from now.
pub type Days = (i64, i64);

impl TestCa {
    /// A CA called `name`.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        Ok(Self { name: name.to_owned(), key: KeyPair::generate()? })
    }

    /// Its own certificate, PEM.
    pub fn certificate(&self, days: Days) -> anyhow::Result<String> {
        Ok(self.params(days).self_signed(&self.key)?.pem())
    }

    /// Its key, PEM.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// Its certificate for the CA `successor`, PEM.
    pub fn cross_sign(&self, successor: &Self, days: Days) -> anyhow::Result<String> {
        Ok(successor.params(days).signed_by(&successor.key, &self.issuer())?.pem())
    }

    /// A certificate for a server of `names`, with its key, both PEM.
    pub fn issue(&self, names: Vec<String>, days: Days) -> anyhow::Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        (params.not_before, params.not_after) = span(days);
        Ok((params.signed_by(&key, &self.issuer())?.pem(), key.serialize_pem()))
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::new(self.params((-1, 1)), &self.key)
    }

    fn params(&self, days: Days) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, &self.name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) = span(days);
        params
    }
}

fn span((from, until): Days) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now + Duration::days(from), now + Duration::days(until))
}
