//! What an injection may add, taken out again.

use proto::names;
use serde_json::{Map, Value};

/// `pod` without our container, volume, gate, label and report; lists and maps that hold nothing else go, too.
pub(crate) fn stripped(mut pod: Value) -> Value {
    let lists = [
        ("initContainers", "name", names::SIDECAR_CONTAINER),
        ("volumes", "name", names::SIDECAR_VOLUME),
        ("readinessGates", "conditionType", names::CONDITION),
    ];
    for (list, key, name) in lists {
        if let Some(elements) = pod["spec"][list].as_array_mut() {
            elements.retain(|element| element[key] != name);
        }
        remove_empty(&mut pod["spec"], list);
    }
    for (map, key) in [("labels", names::INJECTED_LABEL), ("annotations", names::REPORT_ANNOTATION)] {
        if let Some(texts) = pod["metadata"][map].as_object_mut() {
            texts.remove(key);
        }
        remove_empty(&mut pod["metadata"], map);
    }
    pod
}

fn remove_empty(parent: &mut Value, key: &str) {
    let is_empty = |value: &Value| {
        value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty)
    };
    if let Some(parent) = parent.as_object_mut()
        && parent.get(key).is_some_and(is_empty)
    {
        parent.remove(key);
    }
}
