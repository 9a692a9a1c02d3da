//! The time before the app answers.

use std::{future::pending, net::IpAddr};

use proto::{
    report::one_line,
    v1::{BeginWarmupRequest, Directive, Progress},
    wire,
};
use tokio::{
    select,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    adapters::{app::probe, control_plane::ControlPlane},
    ground::{patience::Patience, question::Question, settings::Errand, tried::Tried},
    log::log,
};

/// How the wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The app answers at this address.
    Answered(IpAddr),
    /// The app never answered; what was tried.
    InVain(String),
    /// The control plane wants no warm-up any more.
    NotNeeded,
}

/// Waits for the app's first answer, and connects to the control plane meanwhile.
pub(super) async fn for_app(
    errand: &Errand,
    control_plane: &mut ControlPlane,
    patience: &Patience,
) -> Waited {
    let tried = Tried::default();
    select! {
        biased;
        app = first_answer(errand, &tried) => Waited::Answered(app),
        () = sleep(patience.app) => Waited::InVain(one_line(&format!("the app never answered: {tried}"))),
        () = tell_of_silence(control_plane, &tried, patience) => Waited::NotNeeded,
    }
}

/// Where the app answers its probe, and takes connections on the port to warm: that one may be bound elsewhere.
pub(super) async fn first_answer(errand: &Errand, tried: &Tried) -> IpAddr {
    let app = probe::first_answer(&errand.question, &errand.addresses, tried).await;
    if errand.question.port == errand.plan.port {
        return app;
    }
    let warmed = Question::of_port(errand.plan.port);
    probe::first_answer(&warmed, &errand.addresses, tried).await
}

/// Connects and, once the app has been silent for long, says what was tried. Ends only when told to park.
async fn tell_of_silence(control_plane: &mut ControlPlane, tried: &Tried, patience: &Patience) {
    let start = Instant::now();
    control_plane.connect().await;
    sleep_until(start + patience.silence).await;
    let message = one_line(&format!("still waiting for the app: {tried}"));
    log!("{message}");
    let progress = BeginWarmupRequest {
        progress: Progress::WaitingForApp.into(),
        message,
        app_wait: wire::duration(start.elapsed()),
    };
    match control_plane.begin(progress).await {
        Ok(Directive::Park) => {}
        _ => pending().await,
    }
}
