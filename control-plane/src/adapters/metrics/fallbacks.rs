//! Sidecars that did not run, with the pauses that follow from them.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, show};
use crate::ground::{observed::Cause, pauses::Barriers};

#[derive(Debug, Default)]
pub(super) struct Fallbacks {
    exchanges: Family<ExchangeLabels, Counter>,
    paused_namespaces: Gauge,
    paused_everywhere: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExchangeLabels {
    cause: &'static str,
    result: &'static str,
}

impl Fallbacks {
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self::default();
        all.register(
            "sidecar_exchanges",
            "Sidecars that did not run, by what kept them from it and what became of the exchange of their image",
            own.exchanges.clone(),
        );
        for cause in Cause::ALL {
            for result in ["exchanged", "refused", "failed", "no_image"] {
                show(&own.exchanges, &ExchangeLabels { cause: cause.label(), result });
            }
        }
        all.register(
            "injection_paused_namespaces",
            "Namespaces in which injection is paused, because sidecars did not run there",
            own.paused_namespaces.clone(),
        );
        all.register(
            "injection_paused_everywhere",
            "Whether injection is paused in all namespaces, because the sidecar's image cannot be pulled",
            own.paused_everywhere.clone(),
        );
        own
    }
}

impl Metrics {
    /// Counts a sidecar that did not run: `result` is `exchanged`, `refused`, `failed`, or `no_image` where there is no
    /// fallback image.
    pub fn count_exchange(&self, cause: Cause, result: &'static str) {
        let labels = ExchangeLabels { cause: cause.label(), result };
        self.families.fallbacks.exchanges.get_or_create(&labels).inc();
    }

    /// Notes where injection is paused.
    pub fn injection_paused(&self, barriers: &Barriers) {
        let Fallbacks { paused_namespaces, paused_everywhere, .. } = &self.families.fallbacks;
        paused_namespaces.set(i64::try_from(barriers.paused_namespaces()).unwrap_or(i64::MAX));
        paused_everywhere.set(barriers.is_everywhere().into());
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn an_exchange_is_counted_by_cause_and_result() {
        let metrics = Metrics::default();
        metrics.count_exchange(Cause::Pull, "exchanged");
        check(
            &metrics,
            &[
                r#"kube_booster_sidecar_exchanges_total{cause="pull",result="exchanged"} 1"#,
                r#"kube_booster_sidecar_exchanges_total{cause="crash",result="no_image"} 0"#,
                "kube_booster_injection_paused_namespaces 0",
                "kube_booster_injection_paused_everywhere 0",
            ],
        );
    }
}
