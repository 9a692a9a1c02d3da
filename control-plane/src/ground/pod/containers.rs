//! Lists of containers, bounded while they are read.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

use super::Container;

/// A container has 11 bytes of JSON at least and takes some 400 once it is read: without a bound, a review of 3 MiB
/// takes 200 MB.
const MOST: usize = 1_024;

/// Reads a list of at most 1,024 containers.
pub(super) fn few<'de: 'a, 'a, D>(from: D) -> Result<Vec<Container<'a>>, D::Error>
where
    D: Deserializer<'de>,
{
    Few::deserialize(from).map(|Few(containers)| containers)
}

/// Reads such a list, or null.
pub(super) fn few_or_none<'de: 'a, 'a, D>(from: D) -> Result<Option<Vec<Container<'a>>>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<Few<'a>>::deserialize(from)?.map(|Few(containers)| containers))
}

struct Few<'a>(Vec<Container<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Few<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Counted(Vec::new()))
    }
}

struct Counted<'a>(Vec<Container<'a>>);

impl<'de: 'a, 'a> Visitor<'de> for Counted<'a> {
    type Value = Few<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MOST} containers")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Few<'a>, A::Error> {
        while let Some(container) = list.next_element()? {
            self.0.push(container);
            if self.0.len() > MOST {
                return Err(Error::invalid_length(self.0.len(), &"at most 1024 containers"));
            }
        }
        Ok(Few(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::pod::Pod;

    fn is_readable(containers: usize, init_containers: usize) -> bool {
        let list = |length| vec![r#"{"name":""}"#; length].join(",");
        let text = format!(
            r#"{{"spec":{{"containers":[{}],"initContainers":[{}]}}}}"#,
            list(containers),
            list(init_containers)
        );
        serde_json::from_str::<Pod<'_>>(&text).is_ok()
    }

    #[test]
    fn a_pod_of_more_containers_than_anybody_has_is_not_read() {
        assert!(is_readable(MOST, MOST));
        assert!(!is_readable(MOST + 1, 0) && !is_readable(1, MOST + 1));
        for absent in [r#"{"spec":{"containers":[]}}"#, r#"{"spec":{"containers":[],"initContainers":null}}"#]
        {
            let pod: Pod<'_> = serde_json::from_str(absent).unwrap();
            assert!(pod.spec.init_containers.is_none());
        }
    }
}
