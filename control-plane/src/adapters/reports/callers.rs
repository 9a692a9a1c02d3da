//! Which pod's sidecar calls: told by the cluster's keys, and by the API server where those do not fit.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::HeaderMap;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use tonic::Status;

use super::{
    super::metrics::Metrics,
    access::{Access, bearer},
    door::Identify,
    issuer::Issuers,
    refusal::Refusal,
};
use crate::ground::{
    memory::{Digest, Memory},
    observed::PodRef,
    pace::Pace,
    token::{self, Verdict},
};

/// A sidecar calls twice in its life, and after a failure about once a second.
const INTERVAL: Duration = Duration::from_millis(200);
const BURST: u32 = 10;
/// A good token is not reviewed again for this long; whether its pod still lives is asked of the watch each time.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// The API server itself may learn of a `ServiceAccount` a moment later than its tokens are used.
const BAD_FOR: Duration = Duration::from_secs(5);
/// A pod that is gone does not come back.
const GONE_FOR: Duration = Duration::from_mins(10);

/// A sidecar whose token was verified.
#[derive(Clone)]
pub(super) struct Sidecar {
    pub(super) pod: PodRef,
    token: Arc<str>,
    /// Whether the API server said just now that the pod is there.
    is_reviewed: bool,
}

/// Tells which sidecar calls.
pub(super) struct Callers {
    access: Access,
    issuers: Issuers,
    metrics: Metrics,
    pace: Mutex<Pace>,
    /// What reviews came to; no pod: not taken.
    reviews: Mutex<Memory<Option<PodRef>>>,
}

impl Callers {
    pub(super) fn new(access: Access, issuers: Issuers, metrics: Metrics) -> Self {
        let pace = Mutex::new(Pace::new(INTERVAL, BURST));
        Self { access, issuers, metrics, pace, reviews: Mutex::default() }
    }

    async fn sidecar(&self, headers: &HeaderMap) -> Result<Sidecar, Refusal> {
        let token = bearer(headers).ok_or(Refusal::NoToken)?;
        let sidecar = match self.issuers.judge(token, Timestamp::now()) {
            Verdict::Pod(pod) => {
                self.metrics.token_checked("keys");
                Sidecar { pod, token: token.into(), is_reviewed: false }
            }
            Verdict::Refused(refusal) => return Err(Refusal::Token(refusal)),
            Verdict::Unknown => self.reviewed(token).await?,
        };
        lock(&self.pace).admit(&sidecar.pod.uid, Instant::now()).map_err(Refusal::TooFast)?;
        Ok(sidecar)
    }

    async fn reviewed(&self, token: &str) -> Result<Sidecar, Refusal> {
        let key = key(token);
        let recalled = lock(&self.reviews).recall(&key, Instant::now());
        if let Some(found) = recalled {
            self.metrics.token_checked("recalled");
            let pod = found.ok_or(Refusal::Invalid)?;
            return Ok(Sidecar { pod, token: token.into(), is_reviewed: false });
        }
        self.metrics.token_checked("review");
        let user = match self.access.authenticate(token).await {
            Err(Refusal::Invalid) => {
                self.keep(key, None, BAD_FOR);
                return Err(Refusal::Invalid);
            }
            other => other?,
        };
        let pod = user.pod().ok_or(Refusal::Token(token::Refusal::NoPod))?;
        self.keep(key, Some(pod.clone()), GOOD_FOR);
        Ok(Sidecar { pod, token: token.into(), is_reviewed: true })
    }

    /// Makes sure that the pod of a good token is gone, when the watch does not know it: the watch may only be behind.
    pub(super) async fn is_gone(&self, sidecar: &Sidecar) -> Result<bool, Refusal> {
        if sidecar.is_reviewed {
            return Ok(false);
        }
        let key = key(&sidecar.token);
        if lock(&self.reviews).recall(&key, Instant::now()) == Some(None) {
            self.metrics.token_checked("recalled");
            return Ok(true);
        }
        self.metrics.token_checked("review");
        match self.access.authenticate(&sidecar.token).await {
            Ok(_) => Ok(false),
            Err(Refusal::Invalid) => {
                self.keep(key, None, GONE_FOR);
                Ok(true)
            }
            Err(other) => Err(other),
        }
    }

    fn keep(&self, key: Digest, found: Option<PodRef>, life: Duration) {
        lock(&self.reviews).keep(key, found, life, Instant::now());
    }
}

impl Identify for Callers {
    type Caller = Sidecar;

    async fn identify(&self, headers: &HeaderMap) -> Result<Sidecar, Status> {
        self.sidecar(headers).await.map_err(|refusal| refusal.status(&self.metrics))
    }
}

fn key(token: &str) -> Digest {
    let mut key = Digest::default();
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
