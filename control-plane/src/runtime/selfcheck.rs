//! Readiness by trial: whether the API server, with what it trusts, would get an injection from our webhook.

use std::time::{Duration, Instant};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    adapters::{
        admin::Pending,
        caller::{CallError, Webhook},
        certificates::Bundle,
        metrics::Metrics,
    },
    ground::steadiness::Steadiness,
};

/// Between two checks while all is well; a change of caBundle is checked at once.
const INTERVAL: Duration = Duration::from_secs(30);
/// Between two checks while something is not.
const RETRY: Duration = Duration::from_secs(1);

/// What is checked, and with what.
pub(super) struct SelfCheck {
    /// Our webhook.
    pub(super) webhook: Webhook,
    /// What the API server trusts.
    pub(super) live: watch::Receiver<Bundle>,
    /// Where failures are counted.
    pub(super) metrics: Metrics,
}

impl SelfCheck {
    /// Checks for ever; `pending` is over as soon as a check passes, and comes back when checks fail for a while.
    ///
    /// Sidecars report all the same while we are not ready: their Service publishes addresses that are not.
    pub(super) async fn run(mut self, pending: Pending) {
        let readiness = pending.readiness();
        let (mut pending, mut steadiness) = (Some(pending), Steadiness::default());
        loop {
            let passed = self.check(pending.is_none()).await;
            match (steadiness.note(passed, Instant::now()), &pending) {
                (true, Some(_)) => {
                    info!("our webhook answers as the API server needs it");
                    pending = None;
                }
                (false, None) => {
                    warn!("our webhook is of no use to the API server for a while; not ready any more");
                    pending = Some(readiness.wait_for("webhook"));
                }
                (true, None) | (false, Some(_)) => {}
            }
            let is_well = passed && pending.is_none();
            self.wait(if is_well { INTERVAL } else { RETRY }).await;
        }
    }

    async fn check(&mut self, was_ready: bool) -> bool {
        let live = self.live.borrow_and_update().clone();
        let outcome = self.webhook.try_out(live.certificates()).await;
        if let Err(error) = &outcome {
            self.metrics.self_check_failed();
            // Before the first look there is nothing to trust yet.
            if was_ready {
                warn!(error = chain(error), "our webhook does not answer as the API server needs it");
            }
        }
        outcome.is_ok()
    }

    /// Until the next check is due, or what the API server trusts is another.
    async fn wait(&mut self, at_most: Duration) {
        if matches!(timeout(at_most, self.live.changed()).await, Ok(Err(_))) {
            // Nobody looks any more: we are stopping.
            sleep(at_most).await;
        }
    }
}

fn chain(error: &CallError) -> String {
    let sources = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        adapters::{
            admin::Readiness,
            certificates::{Authorities, OwnCaller, Served},
            server::{self, Door},
            webhook,
        },
        ground::{injection::SidecarTemplate, limits::Limits},
        runtime::Stop,
    };

    /// Our webhook as it is served, for a certificate of `ca`.
    async fn serve(ca: &Authorities) -> (Webhook, Stop) {
        let name = "kube-booster-webhook.ours.svc".to_owned();
        let serving = ca.issue(vec![name.clone()], now()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = Webhook {
            port: listener.local_addr().unwrap().port(),
            path: webhook::PATH,
            user_agent: webhook::SELF_CHECK,
            server_name: name,
            namespace: "ours".to_owned(),
            own: Arc::new(OwnCaller::generate().unwrap().certified()),
        };
        let template = SidecarTemplate {
            image: "sidecar".to_owned(),
            report_address: "10.96.0.7:9090".to_owned(),
            report_server_name: "reports".to_owned(),
            report_ca: "CA".to_owned(),
        };
        let served = webhook::Webhook {
            template: watch::channel(Arc::new(template)).1,
            limits: watch::channel(Limits::default()).1,
            barriers: watch::channel(Arc::default()).1,
            metrics: Metrics::default(),
            own_namespace: "ours".into(),
        };
        let tls = server::tls(Arc::new(Served::new(serving)), None, &[b"h2", b"http/1.1"]);
        let tls = Some(watch::Sender::new(tls).subscribe());
        let (metrics, leaving) = (Metrics::default(), Stop::new());
        let door = Door { name: "webhook", limits: server::WEBHOOK, tls, metrics, leaving };
        let stop = Stop::new();
        tokio::spawn(server::serve(listener, door, webhook::router(served, 1), stop.clone()));
        (caller, stop)
    }

    fn now() -> i64 {
        jiff::Timestamp::now().as_second()
    }

    #[tokio::test]
    async fn a_webhook_is_of_use_to_who_trusts_its_ca_and_knows_its_name() {
        let [ca, other] = [(); 2].map(|()| Authorities::generate(now()).unwrap());
        let (webhook, stop) = serve(&ca).await;
        let roots = ca.bundle();
        webhook.try_out(roots.certificates()).await.unwrap();
        let stranger = webhook.try_out(other.bundle().certificates()).await;
        assert!(matches!(stranger, Err(CallError::Tls(_))), "{stranger:?}");
        assert!(matches!(webhook.try_out(&[]).await, Err(CallError::Tls(_))));
        let named = Webhook { server_name: "webhook.elsewhere.svc".to_owned(), ..webhook.clone() };
        assert!(matches!(named.try_out(roots.certificates()).await, Err(CallError::Tls(_))));
        let lost = Webhook { path: "/elsewhere", ..webhook.clone() };
        assert!(matches!(lost.try_out(roots.certificates()).await, Err(CallError::Unpatched { .. })));
        stop.cancel();
    }

    #[tokio::test]
    async fn readiness_waits_until_the_api_server_trusts_what_is_served() {
        let ca = Authorities::generate(now()).unwrap();
        let (webhook, stop) = serve(&ca).await;
        let readiness = Readiness::default();
        let (trusts, live) = watch::channel(Bundle::default());
        let check = SelfCheck { webhook, live, metrics: Metrics::default() };
        let metrics = check.metrics.clone();
        let pending = readiness.wait_for("webhook");
        let running = tokio::spawn(check.run(pending));
        while !metrics.encode().contains("kube_booster_self_check_failures_total 1") {
            tokio::task::yield_now().await;
        }
        assert!(!readiness.is_ready());
        trusts.send_replace(ca.bundle());
        while !readiness.is_ready() {
            tokio::task::yield_now().await;
        }
        running.abort();
        stop.cancel();
    }
}
