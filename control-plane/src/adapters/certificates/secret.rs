//! The Secret that holds the CA, and the `ConfigMap` with its public half for people.

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

use super::authority::{Authority, AuthorityError};

/// Name of the Secret and of the `ConfigMap`.
const NAME: &str = "kube-booster-ca";
const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The API server did not answer as hoped.
    #[error("cannot read or write Secret {NAME}")]
    Api(#[source] Box<kube::Error>),
    /// Somebody put something else into the Secret.
    #[error("Secret {NAME} holds no CA in {CERTIFICATE} and {KEY}; delete it to have a new one made")]
    Contents(#[source] AuthorityError),
    /// A new CA could not be made.
    #[error("cannot make a CA")]
    Generate(#[source] AuthorityError),
}

impl From<kube::Error> for SecretError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// The CA of the Secret in `namespace`, which is made where there is none.
pub async fn obtain(client: &Client, namespace: &str) -> Result<Authority, SecretError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match secrets.get_opt(NAME).await? {
        Some(secret) => read(&secret),
        None => create(&secrets).await,
    }
}

fn read(secret: &Secret) -> Result<Authority, SecretError> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    };
    Authority::from_pem(&text(CERTIFICATE), &text(KEY)).map_err(SecretError::Contents)
}

/// Whoever creates it first makes the CA of all replicas.
async fn create(secrets: &Api<Secret>) -> Result<Authority, SecretError> {
    let authority = Authority::generate().map_err(SecretError::Generate)?;
    let data = [(CERTIFICATE, authority.certificate().to_owned()), (KEY, authority.key())];
    let secret = Secret {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        data: Some(data.map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes()))).into()),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(authority),
        Err(kube::Error::Api(status)) if status.code == 409 => read(&secrets.get(NAME).await?),
        Err(error) => Err(error.into()),
    }
}

/// Shows `certificate` (PEM) to people, in the `ConfigMap` in `namespace`.
pub async fn publish(client: &Client, namespace: &str, certificate: &str) -> Result<(), kube::Error> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let data = BTreeMap::from([(CERTIFICATE, certificate)]);
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data});
    maps.patch(NAME, &PatchParams::apply(names::FIELD_MANAGER).force(), &Patch::Apply(body)).await?;
    Ok(())
}
