//! Who a verified token speaks for.

use std::collections::BTreeMap;

use super::observed::PodRef;

/// A user as the API server verified it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Name, such as `system:serviceaccount:shop:default`
    pub name: String,
    /// UID of the user
    pub uid: String,
    /// Groups
    pub groups: Vec<String>,
    /// Extra attributes; a pod-bound token's say which pod
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The pod that the token is bound to; `None` for a token of a person or of a `ServiceAccount` as a whole.
    #[must_use]
    pub fn pod(&self) -> Option<PodRef> {
        let service_account = self.name.strip_prefix("system:serviceaccount:")?;
        let (namespace, _) = service_account.split_once(':')?;
        let only = |key: &str| match self.extra.get(key)?.as_slice() {
            [value] => Some(value.as_str()),
            _ => None,
        };
        Some(PodRef {
            namespace: namespace.into(),
            name: only("authentication.kubernetes.io/pod-name")?.into(),
            uid: only("authentication.kubernetes.io/pod-uid")?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, extra: &[(&str, &[&str])]) -> User {
        let list = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        User {
            name: name.to_owned(),
            extra: extra.iter().map(|(key, values)| ((*key).to_owned(), list(values))).collect(),
            ..User::default()
        }
    }

    const NAME: &str = "authentication.kubernetes.io/pod-name";
    const UID: &str = "authentication.kubernetes.io/pod-uid";

    #[test]
    fn a_pod_bound_token_speaks_for_its_pod() {
        let bound = user("system:serviceaccount:shop:default", &[(NAME, &["web-1"]), (UID, &["u1"])]);
        assert_eq!(
            bound.pod(),
            Some(PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() })
        );
    }

    #[test]
    fn any_other_token_speaks_for_no_pod() {
        assert_eq!(user("system:serviceaccount:shop:default", &[]).pod(), None);
        assert_eq!(user("system:serviceaccount:shop:default", &[(NAME, &["web-1"])]).pod(), None);
        assert_eq!(
            user("system:serviceaccount:shop:default", &[(NAME, &["a", "b"]), (UID, &["u1"])]).pod(),
            None
        );
        assert_eq!(user("alice", &[(NAME, &["web-1"]), (UID, &["u1"])]).pod(), None);
    }
}
