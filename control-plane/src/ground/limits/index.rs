//! Objects by namespace, kept by what a watch says.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The objects of one namespace, by name.
pub type Named<T> = BTreeMap<Box<str>, T>;

/// The objects of all namespaces.
#[derive(Debug)]
pub struct Index<T>(HashMap<Box<str>, Arc<Named<T>>>);

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Index<T> {
    /// Those of `namespace`.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Arc<Named<T>> {
        self.0.get(namespace).cloned().unwrap_or_default()
    }

    /// `object` is there, or has changed.
    pub fn apply(&mut self, namespace: &str, name: &str, object: T) {
        let objects = self.0.entry(namespace.into()).or_default();
        Arc::make_mut(objects).insert(name.into(), object);
    }

    /// The object is gone.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        let Some(objects) = self.0.get_mut(namespace) else { return };
        Arc::make_mut(objects).remove(name);
        if objects.is_empty() {
            self.0.remove(namespace);
        }
    }

    /// These are all objects there are, as (namespace, name, object).
    pub fn reset(&mut self, all: impl IntoIterator<Item = (Box<str>, Box<str>, T)>) {
        self.0.clear();
        for (namespace, name, object) in all {
            self.apply(&namespace, &name, object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_change_and_go() {
        let mut index = Index::default();
        index.apply("shop", "a", 1);
        index.apply("shop", "a", 2);
        index.apply("bank", "a", 3);
        let before = index.of("shop");
        index.delete("shop", "a");
        index.delete("shop", "b");
        index.delete("none", "a");
        assert_eq!(before.get("a"), Some(&2), "a handle stays as it was");
        assert!(index.of("shop").is_empty() && index.0.len() == 1);
    }

    #[test]
    fn a_list_replaces_all_that_was_known() {
        let mut index = Index::default();
        index.apply("shop", "gone", 1);
        index.reset([("shop".into(), "a".into(), 2), ("bank".into(), "b".into(), 3)]);
        assert_eq!(*index.of("shop"), Named::from([("a".into(), 2)]));
        assert_eq!(index.of("bank").len(), 1);
    }
}
