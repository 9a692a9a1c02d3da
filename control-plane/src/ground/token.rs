//! A `ServiceAccount`'s token, judged by the cluster's own keys: which pod it speaks for.

mod keys;
mod signature;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use proto::names;
use serde::{Deserialize, de::DeserializeOwned};

use self::keys::Keys;
use super::observed::PodRef;

/// What the API server's own check allows clocks to differ by.
const LEEWAY: SignedDuration = SignedDuration::from_mins(1);

/// Why a token is not taken, whoever else might be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not three parts of base64, or not a token's claims.
    #[error("the token is not a JSON Web Token of a ServiceAccount")]
    Malformed,
    /// Not signed at all, by a shared secret, or in another way than its key signs.
    #[error("the token is signed in a way that the cluster's keys do not sign")]
    Algorithm,
    /// Altered, or signed by another key than it names.
    #[error("the token is not signed by the key that it names")]
    Signature,
    /// For somebody else.
    #[error("the token is not for audience kube-booster.io")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Of a `ServiceAccount` as a whole.
    #[error("the token is bound to no pod; only the injected sidecar may report")]
    NoPod,
}

impl Refusal {
    /// As metrics name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NoPod => "no_pod",
        }
    }
}

/// What a token comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It speaks for this pod, if that is still there.
    Pod(PodRef),
    /// It is not taken.
    Refused(Refusal),
    /// It is of a key or an issuer that we do not know: only the API server can tell.
    Unknown,
}

/// The issuer's documents cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the issuer's documents are not what OpenID Connect discovery says")]
pub struct Unreadable(#[from] serde_json::Error);

/// Who signs the cluster's tokens, and with which keys.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    keys: Keys,
}

impl Issuer {
    /// Reads `/.well-known/openid-configuration` and `/openid/v1/jwks`.
    pub fn read(configuration: &str, keys: &str) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Configuration {
            issuer: String,
        }
        let Configuration { issuer } = serde_json::from_str(configuration)?;
        Ok(Self { name: issuer, keys: Keys::read(keys)? })
    }

    /// How many keys can be used.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Judges `token` at `now`.
    #[must_use]
    pub fn judge(&self, token: &str, now: Timestamp) -> Verdict {
        match self.try_judge(token, now) {
            Ok(Some(pod)) => Verdict::Pod(pod),
            Ok(None) => Verdict::Unknown,
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn try_judge(&self, token: &str, now: Timestamp) -> Result<Option<PodRef>, Refusal> {
        let header: Header = part(token, 0).ok_or(Refusal::Malformed)?;
        let _: serde::de::IgnoredAny = part(token, 1).ok_or(Refusal::Malformed)?;
        if !header.is_asymmetric() {
            return Err(Refusal::Algorithm);
        }
        let Some(key) = header.kid.and_then(|id| self.keys.get(&id)) else { return Ok(None) };
        let claims: Claims = key.verified(token)?;
        // An API server may take several issuers, and names only the first in its documents.
        if claims.iss != self.name {
            return Ok(None);
        }
        claims.pod(now).map(Some)
    }
}

/// When a token that somebody else has verified ends, as far as it says so.
#[must_use]
pub fn expiry(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Ends {
        exp: i64,
    }
    let Ends { exp } = part(token, 1)?;
    Timestamp::from_second(exp).ok()
}

/// The JSON of a part of `token`, which must have three.
fn part<T: DeserializeOwned>(token: &str, which: usize) -> Option<T> {
    let parts: Vec<&str> = token.splitn(4, '.').collect();
    let [_, _, _] = parts.as_slice() else { return None };
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(parts.get(which)?).ok()?).ok()
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

impl Header {
    fn is_asymmetric(&self) -> bool {
        ["RS", "ES", "PS", "Ed"].iter().any(|family| self.alg.starts_with(family))
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Claims {
    iss: String,
    aud: Audiences,
    exp: i64,
    nbf: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Bound>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

/// What a token is bound to.
#[derive(Debug, Clone, Deserialize)]
struct Bound {
    namespace: Box<str>,
    pod: Option<BoundPod>,
}

#[derive(Debug, Clone, Deserialize)]
struct BoundPod {
    name: Box<str>,
    uid: Box<str>,
}

impl Claims {
    fn pod(self, now: Timestamp) -> Result<PodRef, Refusal> {
        let is_ours = match &self.aud {
            Audiences::One(audience) => audience == names::TOKEN_AUDIENCE,
            Audiences::Several(all) => all.iter().any(|audience| audience == names::TOKEN_AUDIENCE),
        };
        if !is_ours {
            return Err(Refusal::Audience);
        }
        let now = now.as_second();
        if now > self.exp.saturating_add(LEEWAY.as_secs()) {
            return Err(Refusal::Expired);
        }
        if self.nbf.is_some_and(|from| now < from.saturating_sub(LEEWAY.as_secs())) {
            return Err(Refusal::NotYetValid);
        }
        let Bound { namespace, pod } = self.kubernetes.ok_or(Refusal::NoPod)?;
        let BoundPod { name, uid } = pod.ok_or(Refusal::NoPod)?;
        Ok(PodRef { namespace, name, uid })
    }
}

#[cfg(test)]
mod tests;
