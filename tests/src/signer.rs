//! Tokens that no API server would make, signed by its own key or by another cluster's.

use anyhow::Context;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rcgen::KeyPair;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::Value;

use crate::api_server::ApiServer;

/// Signs whatever it is given.
#[derive(Debug)]
pub struct Signer(EcdsaKeyPair);

/// A token, taken apart.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The algorithm and the key's id
    pub header: Value,
    /// What it says
    pub claims: Value,
}

impl Signer {
    /// With the key of `api`.
    pub fn of(api: &ApiServer) -> anyhow::Result<Self> {
        Self::with(&KeyPair::from_pem(&std::fs::read_to_string(api.folder().join("accounts.key"))?)?)
    }

    /// With the key of some other cluster.
    pub fn of_another_cluster() -> anyhow::Result<Self> {
        Self::with(&KeyPair::generate()?)
    }

    fn with(key: &KeyPair) -> anyhow::Result<Self> {
        let (form, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = EcdsaKeyPair::from_pkcs8(form, &key.serialize_der(), &random);
        Ok(Self(key.ok().context("an ECDSA key on P-256")?))
    }

    /// `parts` as a token.
    pub fn sign(&self, parts: &Parts) -> anyhow::Result<String> {
        let message = parts.message();
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).ok();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.context("a signature")?);
        Ok(format!("{message}.{signature}"))
    }
}

impl Parts {
    /// Takes `token` apart.
    pub fn of(token: &str) -> anyhow::Result<Self> {
        let mut parts = token.split('.').map(|part| {
            let json = BASE64_URL_SAFE_NO_PAD.decode(part)?;
            Ok::<Value, anyhow::Error>(serde_json::from_slice(&json)?)
        });
        let mut next = || parts.next().context("a token has three parts")?;
        Ok(Self { header: next()?, claims: next()? })
    }

    /// With `value` as claim `key`.
    #[must_use]
    pub fn claiming(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.claims[key] = value.into();
        self
    }

    /// With `value` as the header's `key`.
    #[must_use]
    pub fn headed(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.header[key] = value.into();
        self
    }

    /// What is signed.
    #[must_use]
    pub fn message(&self) -> String {
        let encoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", encoded(&self.header), encoded(&self.claims))
    }
}
