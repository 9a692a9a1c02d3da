//! What holds for pods that nobody thought of.

use control_plane::ground::limits::NamespaceLimits;
use proptest::prelude::*;

use super::{check_laws, pods::any_pod};

proptest! {
    #[test]
    fn an_injection_adds_what_is_listed_once_and_keeps_the_qos_class(pod in any_pod()) {
        check_laws(&pod, &NamespaceLimits::default());
    }
}
