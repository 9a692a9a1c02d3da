//! The CA that signs, beside the one before it for as long as that is trusted.

use super::{
    authority::{Authority, AuthorityError},
    bundle::Bundle,
    serving::{Serving, ServingError, validity},
};
use crate::ground::rotation::{Generations, Validity};

/// Our CAs.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorities {
    current: Authority,
    previous: Option<Previous>,
}

/// The CA before the current one; its key is not needed any more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Previous {
    /// Its certificate, PEM
    pub(super) certificate: String,
    /// The current CA's certificate as the previous one signed it, PEM
    pub(super) cross: String,
    validity: Validity,
}

impl Authorities {
    /// A first CA, made at `now`.
    pub fn generate(now: i64) -> Result<Self, AuthorityError> {
        Ok(Self { current: Authority::generate(now)?, previous: None })
    }

    /// `current` alone, or with what its predecessor left: certificate and cross-signed certificate, both PEM.
    pub(super) fn new(current: Authority, previous: Option<(&str, &str)>) -> Self {
        let previous = previous.and_then(|(certificate, cross)| {
            let validity = first_validity(certificate).ok().filter(|_| current.is_certified_by(cross))?;
            Some(Previous { certificate: certificate.to_owned(), cross: cross.to_owned(), validity })
        });
        Self { current, previous }
    }

    /// The same after a rotation at `now`: a new CA, which this one's certifies.
    pub fn following(&self, now: i64) -> Result<Self, AuthorityError> {
        let current = Authority::generate(now)?;
        let previous = Previous {
            certificate: self.current.certificate().to_owned(),
            cross: self.current.cross_sign(&current)?,
            validity: self.current.validity(),
        };
        Ok(Self { current, previous: Some(previous) })
    }

    /// The same when the overlap is over.
    #[must_use]
    pub fn without_previous(&self) -> Self {
        Self { current: self.current.clone(), previous: None }
    }

    /// The CA that signs.
    #[must_use]
    pub fn current(&self) -> &Authority {
        &self.current
    }

    pub(super) fn previous(&self) -> Option<&Previous> {
        self.previous.as_ref()
    }

    /// When they are valid.
    #[must_use]
    pub fn generations(&self) -> Generations {
        let previous = self.previous.as_ref().map(|previous| previous.validity);
        Generations { current: self.current.validity(), previous }
    }

    /// Whom clients are to trust: the current one first.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        let previous = self.previous.as_ref().map(|previous| Bundle::of_pem(&previous.certificate));
        Bundle::of_pem(self.current.certificate()).and(&previous.unwrap_or_default())
    }

    /// A certificate for a server of these `names`, with a key that exists nowhere else: it verifies under each of our
    /// CAs alone.
    pub fn issue(&self, names: Vec<String>, now: i64) -> Result<Serving, AuthorityError> {
        let cross = self.previous.as_ref().map(|previous| previous.cross.as_str());
        self.current.issue(names, cross, now)
    }
}

fn first_validity(certificate: &str) -> Result<Validity, ServingError> {
    validity(Bundle::of_pem(certificate).certificates().first().ok_or(ServingError::Certificate)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        pki_types::UnixTime,
    };

    use super::*;

    /// Whether a client that trusts `roots` alone takes `serving` for the server `name`.
    fn is_trusted(serving: &Serving, roots: &Bundle, name: &'static str) -> bool {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.certificates().iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), provider).build().unwrap();
        let (leaf, rest) = serving.chain().split_first().unwrap();
        verifier.verify_server_cert(leaf, rest, &name.try_into().unwrap(), &[], UnixTime::now()).is_ok()
    }

    fn now() -> i64 {
        jiff::Timestamp::now().as_second()
    }

    fn names() -> Vec<String> {
        vec!["reports.svc".to_owned(), "127.0.0.1".to_owned()]
    }

    #[test]
    fn a_certificate_verifies_under_its_ca_and_for_its_names() {
        let authorities = Authorities::generate(now()).unwrap();
        let serving = authorities.issue(names(), now()).unwrap();
        assert_eq!(serving.chain().len(), 1);
        let bundle = authorities.bundle();
        assert!(is_trusted(&serving, &bundle, "reports.svc") && is_trusted(&serving, &bundle, "127.0.0.1"));
        assert!(!is_trusted(&serving, &bundle, "webhook.svc"));
        assert!(!is_trusted(&serving, &Authorities::generate(now()).unwrap().bundle(), "reports.svc"));
    }

    #[test]
    fn after_a_rotation_who_trusts_only_the_old_ca_or_only_the_new_one_trusts_us() {
        let old = Authorities::generate(now()).unwrap();
        let new = old.following(now()).unwrap();
        let serving = new.issue(names(), now()).unwrap();
        let only_new = new.without_previous().bundle();
        assert!(is_trusted(&serving, &old.bundle(), "reports.svc"), "old trust only");
        assert!(is_trusted(&serving, &only_new, "reports.svc"), "new trust only");
        assert!(new.bundle() == only_new.and(&old.bundle()) && new.bundle() != only_new);
        let before = old.issue(names(), now()).unwrap();
        assert!(is_trusted(&before, &new.bundle(), "reports.svc"), "a replica that has not changed over yet");
        assert!(!is_trusted(&before, &only_new, "reports.svc"));
    }

    #[test]
    fn a_ca_of_the_first_version_which_certifies_no_other_ca_is_followed_all_the_same() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "kube-booster CA");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        let first = Authority::from_pem(&certificate, &key.serialize_pem()).unwrap();
        let first = Authorities::new(first, None);
        let serving = first.following(now()).unwrap().issue(names(), now()).unwrap();
        assert!(is_trusted(&serving, &first.bundle(), "reports.svc"));
    }

    #[test]
    fn two_rotations_later_a_ca_is_forgotten() {
        let first = Authorities::generate(now()).unwrap();
        let third = first.following(now()).unwrap().following(now()).unwrap();
        let serving = third.issue(names(), now()).unwrap();
        assert!(is_trusted(&serving, &third.bundle(), "reports.svc"));
        assert!(!is_trusted(&serving, &first.bundle(), "reports.svc"));
    }

    #[test]
    fn after_the_overlap_the_old_ca_is_trusted_and_served_no_more() {
        let old = Authorities::generate(now()).unwrap();
        let alone = old.following(now()).unwrap().without_previous();
        let serving = alone.issue(names(), now()).unwrap();
        assert_eq!(serving.chain().len(), 1);
        assert!(!alone.bundle().contains(&old.bundle()));
        assert!(!is_trusted(&serving, &old.bundle(), "reports.svc"));
        assert!(is_trusted(&serving, &alone.bundle(), "reports.svc"));
    }

    #[test]
    fn what_a_predecessor_left_is_taken_only_where_it_fits() {
        let old = Authorities::generate(now()).unwrap();
        let new = old.following(now()).unwrap();
        let previous = new.previous().unwrap();
        let read = |certificate, cross| Authorities::new(new.current().clone(), Some((certificate, cross)));
        assert_eq!(read(&previous.certificate, &previous.cross), new);
        let stranger = Authority::generate(now()).unwrap();
        assert!(read(&previous.certificate, stranger.certificate()).previous().is_none());
        assert!(read("rubbish", &previous.cross).previous().is_none());
    }
}
