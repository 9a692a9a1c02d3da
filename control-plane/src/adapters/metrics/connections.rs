//! Connections of our servers.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Default)]
pub(super) struct Connections {
    closed: Family<ClosedLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClosedLabels {
    server: &'static str,
    reason: &'static str,
}

impl Connections {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self::default();
        all.register(
            "connections_closed",
            "Connections that a server closed by itself, by reason",
            own.closed.clone(),
        );
        own
    }
}

impl Metrics {
    /// Counts a connection that `server` closed by itself.
    pub fn connection_closed(&self, server: &'static str, reason: &'static str) {
        self.families.connections.closed.get_or_create(&ClosedLabels { server, reason }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_closed_connection_is_counted_by_server_and_reason() {
        let metrics = Metrics::default();
        metrics.connection_closed("webhook", "idle");
        check(&metrics, &[r#"kube_booster_connections_closed_total{server="webhook",reason="idle"} 1"#]);
    }
}
