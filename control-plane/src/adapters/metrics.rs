//! What Prometheus can ask for.

mod certificates;
mod connections;
mod fallbacks;
mod injections;
mod leadership;
mod process;
mod reports;
mod warmups;
mod webhook;

use std::{hash::Hash, sync::Arc};

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use self::{
    certificates::Certificates, connections::Connections, fallbacks::Fallbacks, injections::Injections,
    leadership::Leadership, process::Process, reports::Reports, warmups::Warmups, webhook::Webhook,
};

/// The handle by which everybody moves the metrics; clones move the same ones.
///
/// The modules below hold the families of one concern each, and the methods that move them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    families: Arc<Families>,
}

#[derive(Debug)]
struct Families {
    warmups: Warmups,
    injections: Injections,
    fallbacks: Fallbacks,
    webhook: Webhook,
    connections: Connections,
    certificates: Certificates,
    leadership: Leadership,
    reports: Reports,
    process: Process,
    registry: Registry,
}

impl Default for Families {
    fn default() -> Self {
        let mut all = Registry::default();
        let process = Process::register(&mut all);
        let own = all.sub_registry_with_prefix("kube_booster");
        Self {
            warmups: Warmups::register(own),
            injections: Injections::register(own),
            fallbacks: Fallbacks::register(own),
            webhook: Webhook::register(own),
            connections: Connections::register(own),
            certificates: Certificates::register(own),
            leadership: Leadership::register(own),
            reports: Reports::register(own),
            process,
            registry: all,
        }
    }
}

impl Metrics {
    /// The text form of all families (`OpenMetrics` 1.0).
    #[must_use]
    pub fn encode(&self) -> String {
        self.families.process.look();
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _ = text::encode(&mut out, &self.families.registry);
        out
    }
}

/// Shows a series from the start on: one that begins with its first count shows nobody that it rose.
fn show<L: Clone + Hash + Eq>(family: &Family<L, Counter>, labels: &L) {
    drop(family.get_or_create(labels));
}

/// 100 µs to 3.3 s.
fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 2.0, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of `lines` stands in the text of `metrics`.
    pub(super) fn check(metrics: &Metrics, lines: &[&str]) {
        let text = metrics.encode();
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn clones_move_the_same_families() {
        let metrics = Metrics::default();
        metrics.clone().count_shed();
        metrics.count_shed();
        check(&metrics, &["kube_booster_webhook_shed_total 2"]);
    }
}
