//! What the conditions of held pods say: written only while no gate wants to be opened, and dropped under load.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use kube::Client;
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tracing::debug;

use crate::{
    adapters::conditions,
    ground::{
        holding::{Holding, Why},
        observed::PodRef,
        warmups::{Outcome, Warmups},
    },
};

/// Explanations under way at once; the other places of the API server's are for gates.
const WORKERS: usize = 2;
/// Explanations that wait; more are dropped.
const QUEUE: usize = 256;
/// The kubelet writes the status of a starting pod often, and the version that we saw is then no longer its.
const TRIES: u32 = 3;
/// After a conflict: by then the watch has brought the version that conflicted.
const AFTER_CONFLICT: Duration = Duration::from_millis(250);

pub(super) struct Explanations {
    is_wanted: bool,
    client: Client,
    queue: VecDeque<Wish>,
    under_way: JoinSet<Ended>,
}

#[derive(Debug)]
struct Wish {
    pod: PodRef,
    why: Why,
    message: String,
    tries: u32,
    not_before: Instant,
}

#[derive(Debug)]
pub(super) struct Ended {
    wish: Wish,
    outcome: Outcome,
}

impl Explanations {
    pub(super) fn new(is_wanted: bool, client: Client) -> Self {
        Self { is_wanted, client, queue: VecDeque::new(), under_way: JoinSet::new() }
    }

    /// Wishes that the condition of `pod` says `why` it is held.
    pub(super) fn ask(&mut self, pod: &PodRef, why: Why, message: &str) {
        let (pod, message) = (pod.clone(), message.to_owned());
        self.push(Wish { pod, why, message, tries: TRIES, not_before: Instant::now() });
    }

    fn push(&mut self, wish: Wish) {
        if self.is_wanted && self.queue.len() < QUEUE {
            self.queue.push_back(wish);
        }
    }

    /// Starts what is wished for, as far as there is room.
    pub(super) fn start(&mut self, warmups: &mut Warmups) {
        while self.under_way.len() < WORKERS {
            let Some(wish) = self.next_due() else { return };
            if let Some(holding) = warmups.explain(&wish.pod, wish.why, &wish.message, Timestamp::now()) {
                self.under_way.spawn(explain(self.client.clone(), holding, wish));
            }
        }
    }

    fn next_due(&mut self) -> Option<Wish> {
        self.queue.front().filter(|wish| wish.not_before <= Instant::now())?;
        self.queue.pop_front()
    }

    /// The next one that ended; `None` while none is under way.
    pub(super) async fn ended(&mut self) -> Option<Result<Ended, JoinError>> {
        self.under_way.join_next().await
    }

    pub(super) fn settle(&mut self, ended: Result<Ended, JoinError>, warmups: &mut Warmups) {
        match ended {
            Ok(Ended { wish, outcome: Outcome::Conflict }) if wish.tries > 1 => {
                warmups.not_explained(&wish.pod.uid);
                self.push(Wish {
                    tries: wish.tries - 1,
                    not_before: Instant::now() + AFTER_CONFLICT,
                    ..wish
                });
            }
            Ok(Ended { outcome: Outcome::Applied { .. }, .. }) => {}
            Ok(Ended { wish, outcome }) => {
                debug!(pod = %wish.pod, ?outcome, "the pod does not say why it is held");
            }
            Err(error) => debug!(%error, "an explanation broke off"),
        }
    }
}

async fn explain(client: Client, holding: Holding, wish: Wish) -> Ended {
    let outcome = conditions::explain(&client, &holding).await;
    Ended { wish, outcome }
}
