//! The CAs that clients are to trust.

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{serving::ServingError, serving::validity};
use crate::ground::rotation::Validity;

/// CA certificates as PEM; equal to another with the same certificates, whatever text is around them.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    text: String,
    certificates: Vec<CertificateDer<'static>>,
}

impl Bundle {
    /// The certificates that are readable in `text`.
    #[must_use]
    pub fn of_pem(text: &str) -> Self {
        let certificates = CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok);
        Self { certificates: certificates.collect(), text: text.to_owned() }
    }

    /// PEM, as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The certificates.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Whether every certificate of `other` is in this one; there is nothing in an empty one to trust.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.certificates.iter().all(|certificate| self.certificates.contains(certificate))
    }

    /// This one, and what `other` adds to it.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        if self.contains(other) {
            return self.clone();
        }
        Self::of_pem(&format!("{}\n{}", self.text.trim_end(), other.text))
    }

    /// When its first certificate, the one that signs, is valid.
    pub fn validity(&self) -> Result<Validity, ServingError> {
        validity(self.certificates.first().ok_or(ServingError::Certificate)?)
    }
}

impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.contains(other) && other.contains(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::certificates::Authority;

    #[test]
    fn bundles_are_compared_by_their_certificates() {
        let [one, other] = [(); 2].map(|()| Authority::generate(0).unwrap().certificate().to_owned());
        let both = Bundle::of_pem(&format!("one\n{one}the other\n{other}"));
        let turned = Bundle::of_pem(&other).and(&Bundle::of_pem(&one));
        assert!(both == turned && both != Bundle::of_pem(&one) && both.contains(&Bundle::of_pem(&other)));
        assert_eq!(both.and(&Bundle::of_pem(&one)).text(), both.text());
        assert!(!Bundle::of_pem("rubbish").contains(&both));
    }
}
