//! A caller that does as the API server does, and what it is served.

use std::{fmt, net::Ipv4Addr, time::Duration};

use futures::future::join;
use tests::{
    control_plane::World,
    webhook::{self, Caller, TIMEOUT},
};
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(20);

/// What the caller was served.
#[derive(Debug, Default)]
pub(super) struct Served {
    took: Vec<Duration>,
    pub(super) failed: Vec<String>,
}

/// Of what is printed.
pub(super) const COLUMNS: &str = "answers  p50 ms  p99 ms  max ms";

/// Has a usual pod reviewed for `time`, on one connection that is kept and on new ones.
pub(super) async fn calls(world: &World, time: Duration) -> anyhow::Result<Served> {
    let caller = Caller::new(world, Ipv4Addr::LOCALHOST).await?;
    let (mut kept, new) = join(kept(&caller, time), new(&caller, time)).await;
    kept.took.extend(new.took);
    kept.failed.extend(new.failed);
    kept.took.sort();
    Ok(kept)
}

async fn new(caller: &Caller, time: Duration) -> Served {
    let mut served = Served::default();
    let (end, body) = (Instant::now() + time, webhook::usual());
    while Instant::now() < end {
        let start = Instant::now();
        let answer = caller.review(&body).await;
        served.note(start, answer.map(|answer| answer["response"]["patch"].is_string()));
        sleep(PAUSE).await;
    }
    served
}

async fn kept(caller: &Caller, time: Duration) -> Served {
    let mut served = Served::default();
    let (end, body) = (Instant::now() + time, webhook::usual());
    let mut connection = caller.connect_tls().await.ok();
    while Instant::now() < end {
        let start = Instant::now();
        let Some(stream) = &mut connection else {
            served.failed.push("the connection was lost".to_owned());
            return served;
        };
        let answer = tokio::time::timeout(TIMEOUT, webhook::post(stream, "application/json", &body)).await;
        match answer {
            // The API server tries again.
            Ok(Ok((429, _))) => sleep(Duration::from_secs(1)).await,
            Ok(Ok((status, answer))) => served.note(start, Ok(status == 200 && answer.contains("JSONPatch"))),
            Ok(Err(error)) => {
                served.note(start, Err(error));
                connection = caller.connect_tls().await.ok();
            }
            Err(_) => served.note(start, Ok(false)),
        }
        sleep(PAUSE).await;
    }
    served
}

impl Served {
    fn note(&mut self, start: Instant, is_patched: anyhow::Result<bool>) {
        match is_patched {
            Ok(true) => self.took.push(start.elapsed()),
            Ok(false) => self.failed.push("no patch".to_owned()),
            Err(error) => self.failed.push(format!("{error:#}")),
        }
    }

    fn quantile(&self, hundredths: usize) -> u128 {
        let rank = self.took.len().saturating_sub(1) * hundredths / 100;
        self.took.get(rank).map_or(0, Duration::as_millis)
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [50, 99, 100].map(|hundredths| self.quantile(hundredths));
        write!(f, "{:7} {p50:7} {p99:7} {max:7}", self.took.len())
    }
}
