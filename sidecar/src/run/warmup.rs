//! The warm-up, from the app's first answer to the report. It starts over where the app goes away in the middle.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use proto::report::{EndedBy, Report};
use tokio::time::{Instant, timeout_at};

use super::{
    round::{Ended, Round},
    wait,
};
use crate::{
    adapters::app::send::Sender,
    ground::{
        restraint::Obstacle,
        schedule::Schedule,
        settings::Errand,
        tally::{Frame, Tally},
        tried::Tried,
    },
    log::log,
};

/// Sends all requests of the errand to `app`.
pub(super) async fn warm_up(errand: &Errand, app: IpAddr) -> Report {
    let schedule = Schedule::of(&errand.plan);
    log!("sending {} requests over {:?}", schedule.count(), schedule.duration());
    let started = SystemTime::now();
    let end = Instant::now() + schedule.duration();
    let (mut app, mut left, mut restarts, mut held_back) = (app, schedule.duration(), 0, Duration::ZERO);
    loop {
        let sender = Sender::to(SocketAddr::new(app, errand.plan.port), errand.plan.limits.connections);
        let mut round = Round::new(errand, &sender, left);
        let ended = round.run().await;
        held_back += round.held_back();
        let (ended_by, obstacle) = match ended {
            Ended::By(ended_by) => (ended_by, round.obstacle()),
            Ended::Gone => match return_of_app(errand, end, &mut held_back).await {
                Some(back) if Instant::now() < end => {
                    (app, restarts) = (back, restarts + 1);
                    left = end.saturating_duration_since(Instant::now());
                    continue;
                }
                _ => (EndedBy::Time, Some(Obstacle::Refusal)),
            },
        };
        let frame = Frame {
            ended_by,
            planned_count: schedule.count(),
            until: errand.plan.until,
            success_threshold: errand.plan.limits.success_threshold,
            connections: sender.connections(),
            retries: round.retries(),
            restarts,
            held_back,
            obstacle,
            started,
            ended: SystemTime::now(),
        };
        return Tally::from(round).report(frame);
    }
}

/// Waits for an app that went away until it answers as at the start; `None` where it has not by `end`.
async fn return_of_app(errand: &Errand, end: Instant, held_back: &mut Duration) -> Option<IpAddr> {
    log!("the app takes no connections any more; waiting for it");
    let (since, tried) = (Instant::now(), Tried::default());
    let app = timeout_at(end, wait::first_answer(errand, &tried)).await;
    *held_back += since.elapsed();
    match &app {
        Ok(app) => log!("the app answers again, at {app} after {:.1?}; starting over", since.elapsed()),
        Err(_) => log!("the app has not come back: {tried}"),
    }
    app.ok()
}
