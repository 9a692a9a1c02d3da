//! Where our CAs are kept: a Secret, beside a `ConfigMap` with their public half for people.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use proto::names;
use serde_json::json;
use tracing::info;

use super::{
    authorities::Authorities,
    authority::{Authority, AuthorityError},
    bundle::Bundle,
};
use crate::ground::rotation::Step;

/// Name of the Secret and of the `ConfigMap`.
pub const SECRET: &str = "kube-booster-ca";
const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
/// There while a rotation's overlap lasts: the CA before, and the certificate that it gave to its successor.
const PREVIOUS: &str = "previous.crt";
const CROSS: &str = "cross.crt";
/// Every replica may see the same need at once; one is first, and the others find its work.
const TRIES: usize = 5;

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The API server did not answer as hoped.
    #[error("cannot read or write Secret {SECRET}")]
    Api(#[source] Box<kube::Error>),
    /// Somebody put something else into the Secret.
    #[error("Secret {SECRET} holds no CA in {CERTIFICATE} and {KEY}; delete it to have a new one made")]
    Contents(#[source] AuthorityError),
    /// A new CA could not be made.
    #[error("cannot make a CA")]
    Generate(#[source] AuthorityError),
    /// It changed each time before we could write it.
    #[error("Secret {SECRET} is written by others all the time")]
    Contended,
}

impl From<kube::Error> for SecretError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// Who asks for the CAs, and when.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// The CAs that the replica knows already; should theirs be gone, what is made follows them.
    pub known: Option<&'a Authorities>,
    /// Seconds since 1970, by the wall clock
    pub now: i64,
    /// Whether the replica leads
    pub leads: bool,
}

/// The CAs of the Secret in `namespace`, after what is due has been done to them.
pub async fn obtain(
    client: &Client,
    namespace: &str,
    occasion: Occasion<'_>,
) -> Result<Authorities, SecretError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    for _ in 0..TRIES {
        let found = secrets.get_opt(SECRET).await?;
        let now = match found.as_ref().map(read).transpose()? {
            None => successor(occasion)?,
            Some(found) => match found.generations().step(occasion.now, occasion.leads) {
                Step::Keep => return Ok(found),
                Step::Replace => successor(occasion)?,
                Step::Rotate => found.following(occasion.now).map_err(SecretError::Generate)?,
                Step::DropPrevious => found.without_previous(),
            },
        };
        if write(&secrets, found, &now).await? {
            info!(expires = now.current().validity().until, "Secret {SECRET} was written");
            return Ok(now);
        }
    }
    Err(SecretError::Contended)
}

/// What follows CAs that are gone: by the one that is still known, its sidecars trust the new one.
fn successor(Occasion { known, now, .. }: Occasion<'_>) -> Result<Authorities, SecretError> {
    let known = known.filter(|known| !known.current().validity().is_over(now));
    known
        .map_or_else(|| Authorities::generate(now), |known| known.following(now))
        .map_err(SecretError::Generate)
}

fn read(secret: &Secret) -> Result<Authorities, SecretError> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    };
    let current = Authority::from_pem(&text(CERTIFICATE), &text(KEY)).map_err(SecretError::Contents)?;
    Ok(Authorities::new(current, Some((&text(PREVIOUS), &text(CROSS)))))
}

/// Whether `authorities` are in the Secret now, and not what somebody wrote after we had `found` it.
async fn write(
    secrets: &Api<Secret>,
    found: Option<Secret>,
    authorities: &Authorities,
) -> Result<bool, SecretError> {
    let params = PostParams::default();
    let written = if let Some(found) = found {
        let secret = Secret { data: Some(data(authorities)), ..found };
        secrets.replace(SECRET, &params, &secret).await
    } else {
        let metadata = ObjectMeta { name: Some(SECRET.to_owned()), ..ObjectMeta::default() };
        let secret = Secret { metadata, data: Some(data(authorities)), ..Secret::default() };
        secrets.create(&params, &secret).await
    };
    match written {
        Ok(_) => Ok(true),
        // Somebody was first, or has deleted it meanwhile.
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn data(authorities: &Authorities) -> BTreeMap<String, ByteString> {
    let current = authorities.current();
    let mut data = vec![(CERTIFICATE, current.certificate().to_owned()), (KEY, current.key())];
    if let Some(previous) = authorities.previous() {
        data.push((PREVIOUS, previous.certificate.clone()));
        data.push((CROSS, previous.cross.clone()));
    }
    data.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes()))).collect()
}

/// Shows `bundle` to people, in the `ConfigMap` in `namespace`.
pub async fn publish(client: &Client, namespace: &str, bundle: &Bundle) -> Result<(), kube::Error> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let data = BTreeMap::from([(CERTIFICATE, bundle.text())]);
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SECRET}, "data": data});
    maps.patch(SECRET, &PatchParams::apply(names::FIELD_MANAGER).force(), &Patch::Apply(body)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(authorities: &Authorities) -> Secret {
        Secret { data: Some(data(authorities)), ..Secret::default() }
    }

    #[test]
    fn what_is_written_is_read_again_with_or_without_a_predecessor() {
        let alone = Authorities::generate(0).unwrap();
        let followed = alone.following(0).unwrap();
        for authorities in [alone, followed] {
            assert_eq!(read(&secret(&authorities)).unwrap(), authorities);
        }
    }

    #[test]
    fn contents_that_are_no_ca_say_what_to_do() {
        let mut secret = secret(&Authorities::generate(0).unwrap());
        secret.data.as_mut().unwrap().remove(KEY);
        let error = read(&secret).unwrap_err().to_string();
        assert!(error.ends_with("delete it to have a new one made"), "{error}");
    }

    #[test]
    fn what_takes_the_place_of_a_ca_that_is_gone_follows_it_while_it_is_valid() {
        let known = Authorities::generate(0).unwrap();
        let at = |now| successor(Occasion { known: Some(&known), now, leads: false }).unwrap();
        assert!(at(5).bundle().contains(&known.bundle()));
        assert!(!at(known.current().validity().until + 1).bundle().contains(&known.bundle()));
    }
}
