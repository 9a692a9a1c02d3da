//! The Lease by which the replicas agree on who leads.
//!
//! Every write carries the version that it was decided on, so that of two replicas at once only one succeeds.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::metrics::Metrics;
use crate::ground::lease::{Candidate, DURATION, Held, Move, RETRY};

const NAME: &str = "kube-booster";
/// For one try: two of them with their pauses end within the leader's deadline.
const TIMEOUT: Duration = Duration::from_secs(3);
/// What a released Lease claims, for those that look at nothing else.
const RELEASED: Duration = Duration::from_secs(1);

/// Flags of the leader's election.
#[derive(Debug, Clone, Copy, Args)]
pub struct LeaseArgs {
    /// Agree with other replicas on one leader, by Lease kube-booster; without it this replica leads
    #[arg(long)]
    pub leader_elect: bool,
}

/// Says whether this replica leads, until `retire`; then gives the Lease back.
pub async fn lead(
    args: LeaseArgs,
    (client, namespace): (Client, String),
    leads: watch::Sender<bool>,
    metrics: Metrics,
    retire: CancellationToken,
) {
    let tell = |now_leads: bool| {
        let is_news = leads.send_if_modified(|leads| std::mem::replace(leads, now_leads) != now_leads);
        if is_news {
            info!(leads = now_leads, "leadership has changed");
            metrics.leads(now_leads);
        }
    };
    if !args.leader_elect {
        tell(true);
        retire.cancelled().await;
        return tell(false);
    }
    let mut election = Election::new(Api::namespaced(client, &namespace));
    loop {
        election.step().await;
        tell(election.candidate.leads(Instant::now().into_std()));
        if retire.run_until_cancelled(sleep(RETRY)).await.is_none() {
            break;
        }
    }
    tell(false);
    election.release().await;
}

struct Election {
    leases: Api<Lease>,
    name: String,
    candidate: Candidate,
    /// What our last write made, so that a renewal needs no read.
    own: Option<Lease>,
}

impl Election {
    fn new(leases: Api<Lease>) -> Self {
        let name = identity();
        Self { leases, candidate: Candidate::new(&name), name, own: None }
    }

    async fn step(&mut self) {
        match timeout(TIMEOUT, self.try_step()).await {
            Ok(Ok(())) => {}
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                debug!("another replica wrote the Lease first");
            }
            Ok(Err(error)) => warn!(%error, "cannot read or write Lease {NAME}"),
            Err(_) => warn!("cannot read or write Lease {NAME}: the API server does not answer"),
        }
    }

    async fn try_step(&mut self) -> kube::Result<()> {
        let found = match self.own.take() {
            Some(own) => Some(own),
            None => self.leases.get_opt(NAME).await?,
        };
        let sent = Instant::now().into_std();
        let chosen = self.candidate.next(found.as_ref().map(held).as_ref(), sent);
        let written = match (chosen, found) {
            (Move::Wait, _) => return Ok(()),
            (Move::Renew, Some(lease)) => self.replace(self.renewed(lease)).await?,
            (Move::Take, Some(lease)) => self.replace(self.taken(lease)).await?,
            (_, _) => self.leases.create(&PostParams::default(), &self.taken(new())).await?,
        };
        self.candidate.holds(sent);
        self.own = Some(written);
        Ok(())
    }

    /// Carries the version that was read: a Lease that has changed since then is refused.
    async fn replace(&self, lease: Lease) -> kube::Result<Lease> {
        self.leases.replace(NAME, &PostParams::default(), &lease).await
    }

    fn renewed(&self, lease: Lease) -> Lease {
        let spec = LeaseSpec {
            holder_identity: Some(self.name.clone()),
            lease_duration_seconds: seconds(DURATION),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..lease.spec.unwrap_or_default()
        };
        Lease { spec: Some(spec), ..lease }
    }

    fn taken(&self, lease: Lease) -> Lease {
        let spec = lease.spec.unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or_default().saturating_add(1);
        let acquired = Some(MicroTime(Timestamp::now()));
        let spec = LeaseSpec { acquire_time: acquired, lease_transitions: Some(transitions), ..spec };
        self.renewed(Lease { spec: Some(spec), ..lease })
    }

    async fn release(mut self) {
        let Some(lease) = self.own.take() else { return };
        let spec = LeaseSpec {
            holder_identity: None,
            lease_duration_seconds: seconds(RELEASED),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..lease.spec.unwrap_or_default()
        };
        let released = self.replace(Lease { spec: Some(spec), ..lease });
        if !matches!(timeout(TIMEOUT, released).await, Ok(Ok(_))) {
            warn!("cannot release Lease {NAME}; another replica leads once it is over");
        }
    }
}

fn new() -> Lease {
    Lease { metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() }, spec: None }
}

fn held(lease: &Lease) -> Held {
    let spec = lease.spec.clone().unwrap_or_default();
    let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Held {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()).map(Into::into),
        version: lease.metadata.resource_version.clone().unwrap_or_default().into(),
        duration: duration.map_or(DURATION, Duration::from_secs),
    }
}

fn seconds(duration: Duration) -> Option<i32> {
    i32::try_from(duration.as_secs()).ok()
}

/// The pod's name, and what tells this run of its program from others.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| NAME.to_owned());
    format!("{host}_{}_{}", std::process::id(), Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_of_another_program_is_read_without_surprise() {
        assert_eq!(held(&new()), Held { holder: None, version: "".into(), duration: DURATION });
        let spec = LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(-1),
            ..LeaseSpec::default()
        };
        assert_eq!(held(&Lease { spec: Some(spec), ..new() }), held(&new()));
    }
}
