//! What the namespaces permit their pods: `LimitRanges` and `ResourceQuotas`, as the watch last showed them.

mod index;
mod quota;
mod range;

use std::sync::Arc;

pub use index::{Index, Named};
pub use quota::{Claim, Quota, QuotaSpec, QuotaStatus, Shortage};
pub use range::{Bounds, LimitRange, Of, RangeSpec, Refusal};

/// The limits of all namespaces.
#[derive(Debug, Default)]
pub struct Limits {
    /// `LimitRanges`
    pub ranges: Index<LimitRange>,
    /// `ResourceQuotas`
    pub quotas: Index<Quota>,
}

impl Limits {
    /// Those of one namespace; a handle that stays as it is while the index goes on.
    #[must_use]
    pub fn of(&self, namespace: &str) -> NamespaceLimits {
        NamespaceLimits { ranges: self.ranges.of(namespace), quotas: self.quotas.of(namespace) }
    }
}

/// The limits of one namespace, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamespaceLimits {
    /// `LimitRanges`
    pub ranges: Arc<Named<LimitRange>>,
    /// `ResourceQuotas`
    pub quotas: Arc<Named<Quota>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_sees_its_own_limits_only() {
        let mut limits = Limits::default();
        limits.ranges.apply("shop", "tight", LimitRange::default());
        limits.quotas.apply("bank", "compute", Quota::default());
        assert_eq!(limits.of("shop").ranges.len(), 1);
        assert!(limits.of("shop").quotas.is_empty());
        assert_eq!(limits.of("bank").quotas.len(), 1);
        assert_eq!(limits.of("none"), NamespaceLimits::default());
    }
}
