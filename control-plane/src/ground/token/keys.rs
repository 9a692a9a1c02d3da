//! The issuer's public keys (RFC 7517), each with the one way in which it signs.

use std::collections::HashMap;

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Refusal, signature};

/// Keys by their id.
#[derive(Debug)]
pub(super) struct Keys(HashMap<String, Key>);

/// A public key.
#[derive(Debug)]
pub(super) struct Key {
    key: DecodingKey,
    validation: Validation,
}

impl Keys {
    /// Reads a set of keys; those that we cannot use are left out, and their tokens are for the API server to judge.
    pub(super) fn read(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        signature::install();
        let Set { keys } = serde_json::from_str(text)?;
        let keys = keys.into_iter().filter_map(|key| Key::of(&serde_json::from_value(key).ok()?));
        Ok(Self(keys.collect()))
    }

    pub(super) fn get(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    fn of(jwk: &Jwk) -> Option<(String, Self)> {
        let mut validation = Validation::new(algorithm(jwk)?);
        // Claims are judged by ourselves: at a time that is given, and each refusal by its name.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        validation.required_spec_claims.clear();
        Some((jwk.common.key_id.clone()?, Self { key: DecodingKey::from_jwk(jwk).ok()?, validation }))
    }

    /// The claims of `token`, if this key signed it.
    pub(super) fn verified<T: DeserializeOwned>(&self, token: &str) -> Result<T, Refusal> {
        let decoded = decode(token, &self.key, &self.validation);
        decoded.map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidAlgorithm => Refusal::Algorithm,
            ErrorKind::InvalidSignature => Refusal::Signature,
            _ => Refusal::Malformed,
        })
    }
}

/// How a key signs: what it says itself, else what Kubernetes would do with it; `None` where we cannot verify that.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    use KeyAlgorithm::{ES256, ES384, RS256, RS384, RS512};
    match (&jwk.algorithm, jwk.common.key_algorithm) {
        (AlgorithmParameters::RSA(_), None | Some(RS256)) => Some(Algorithm::RS256),
        (AlgorithmParameters::RSA(_), Some(RS384)) => Some(Algorithm::RS384),
        (AlgorithmParameters::RSA(_), Some(RS512)) => Some(Algorithm::RS512),
        (AlgorithmParameters::EllipticCurve(key), said) => match (&key.curve, said) {
            (EllipticCurve::P256, None | Some(ES256)) => Some(Algorithm::ES256),
            (EllipticCurve::P384, None | Some(ES384)) => Some(Algorithm::ES384),
            _ => None,
        },
        _ => None,
    }
}
