//! The keys of the cluster's own issuer, fetched from the API server and kept fresh.

use std::{sync::Arc, time::Duration};

use http::{Request, header::ACCEPT};
use jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, error::Elapsed, sleep, timeout},
};
use tracing::{debug, info, warn};

use super::TIMEOUT;
use crate::ground::token::{Issuer, Unreadable, Verdict};

const CONFIGURATION: &str = "/.well-known/openid-configuration";
/// Always the API server's own, whatever address its configuration names for others.
const KEYS: &str = "/openid/v1/jwks";
/// The one form that the API server has.
const KEYS_FORM: &str = "application/jwk-set+json";

/// A key that was taken out of service is trusted for this long at most, while the API server answers.
const REFRESH: Duration = Duration::from_mins(5);
/// Between two fetches, however many unknown keys are named.
const PAUSE: Duration = Duration::from_secs(10);
/// Keys that could not be confirmed for this long are forgotten.
const MAX_AGE: Duration = Duration::from_hours(1);

/// The issuer as it is known now.
#[derive(Debug, Clone)]
pub(super) struct Issuers {
    known: watch::Receiver<Option<Arc<Issuer>>>,
    stranger: Arc<Notify>,
}

impl Issuers {
    /// Judges `token` by the keys that are known; a key that is not is looked for soon.
    pub(super) fn judge(&self, token: &str, now: Timestamp) -> Verdict {
        let issuer = self.known.borrow().clone();
        let verdict = issuer.map_or(Verdict::Unknown, |issuer| issuer.judge(token, now));
        if verdict == Verdict::Unknown {
            self.stranger.notify_one();
        }
        verdict
    }
}

/// The issuer, and the task that fetches its keys: the only one that does.
pub(super) fn keep(client: Client) -> (Issuers, impl Future<Output = ()>) {
    let (known, receiver) = watch::channel(None);
    let issuers = Issuers { known: receiver, stranger: Arc::default() };
    let stranger = Arc::clone(&issuers.stranger);
    let task = async move {
        let mut confirmed = Instant::now();
        loop {
            match fetch(&client).await {
                Ok(issuer) => {
                    confirmed = Instant::now();
                    if known.send_replace(Some(Arc::new(issuer))).is_none() {
                        info!("sidecars' tokens are verified by the cluster's own keys");
                    }
                }
                Err(error) if known.borrow().is_some() && confirmed.elapsed() >= MAX_AGE => {
                    warn!(%error, "the cluster's keys are too old to be trusted");
                    known.send_replace(None);
                }
                Err(error) => debug!(%error, "the cluster's keys are not to be had"),
            }
            sleep(PAUSE).await;
            let _ = timeout(REFRESH, stranger.notified()).await;
        }
    };
    (issuers, task)
}

/// The keys are not to be had.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error("the API server does not answer")]
    Late(#[from] Elapsed),
    #[error("the API server does not give the issuer's documents")]
    Refused(#[from] kube::Error),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

async fn fetch(client: &Client) -> Result<Issuer, Missing> {
    let get = async |path: &str, form: &str| {
        let request = Request::get(path).header(ACCEPT, form).body(Vec::new());
        let text = client.request_text(request.map_err(kube::Error::HttpError)?);
        Ok::<_, Missing>(timeout(TIMEOUT, text).await??)
    };
    let configuration = get(CONFIGURATION, "application/json").await?;
    Ok(Issuer::read(&configuration, &get(KEYS, KEYS_FORM).await?)?)
}
