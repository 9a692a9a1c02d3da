//! The requests, sent on schedule whatever becomes of those before (open loop).

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use futures::{StreamExt, stream::FuturesUnordered};
use proto::report::{EndedBy, Report};
use tokio::{select, time::Instant};

use crate::{
    adapters::{pace::Pace, send::Sender},
    ground::{
        message::Message,
        schedule::Schedule,
        settings::Errand,
        tally::{Frame, Sample, Tally},
    },
    log::log,
    random,
};

/// Sends all requests of the errand to `app`.
pub(super) async fn warm_up(errand: &Errand, app: IpAddr) -> Report {
    let schedule = Schedule::of(&errand.plan);
    log!("sending {} requests over {:?}", schedule.count(), schedule.duration());
    let started = SystemTime::now();
    let sender = Sender::to(SocketAddr::new(app, errand.plan.port));
    let mut tally = Tally::default();
    let ended_by = send_all(errand, schedule, &sender, &mut tally).await;
    tally.report(Frame {
        ended_by,
        planned_count: schedule.count(),
        success_threshold: errand.plan.limits.success_threshold,
        connections: sender.connections(),
        started,
        ended: SystemTime::now(),
    })
}
