//! Certificates that are served, or looked at.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, show};

#[derive(Debug, Default)]
pub(super) struct Certificates {
    expiry: Family<CertificateLabels, Gauge>,
    failures: Family<FailureLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    certificate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    what: &'static str,
}

impl Certificates {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self::default();
        all.register(
            "certificate_expiry_timestamp_seconds",
            "When the serving certificate, or its CA, expires",
            own.expiry.clone(),
        );
        all.register(
            "certificate_failures",
            "Looks at certificates that ended in an error, by what was looked at",
            own.failures.clone(),
        );
        for what in ["ca_secret", "files", "ca_bundle", "report_service"] {
            show(&own.failures, &FailureLabels { what });
        }
        own
    }
}

impl Metrics {
    /// Notes when `certificate` (`serving` or `ca`) expires, in seconds since 1970.
    pub fn certificate_expires(&self, certificate: &'static str, at: i64) {
        self.families.certificates.expiry.get_or_create(&CertificateLabels { certificate }).set(at);
    }

    /// Counts a look at `what` that ended in an error.
    pub fn certificate_failed(&self, what: &'static str) {
        self.families.certificates.failures.get_or_create(&FailureLabels { what }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_certificate_tells_when_it_expires() {
        let metrics = Metrics::default();
        metrics.certificate_expires("ca", 5);
        metrics.certificate_expires("ca", 7);
        metrics.certificate_failed("ca_secret");
        check(
            &metrics,
            &[
                r#"kube_booster_certificate_expiry_timestamp_seconds{certificate="ca"} 7"#,
                r#"kube_booster_certificate_failures_total{what="ca_secret"} 1"#,
            ],
        );
    }
}
