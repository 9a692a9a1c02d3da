//! The life of the sidecar: wait, warm, report.

use std::{
    net::IpAddr,
    pin::pin,
    time::{Duration, SystemTime},
};

use futures::{FutureExt, future::FusedFuture};
use proto::{
    report::{EndedBy, Report},
    v1::{BeginWarmupRequest, Directive, Progress},
    wire,
};
use tokio::{
    runtime::Builder,
    select,
    time::{Instant, timeout},
};

use crate::{
    adapters::{control_plane::ControlPlane, record},
    ground::{
        chain::chain,
        patience::Patience,
        settings::{self, Contact, Environment, Errand},
    },
    log::log,
    run::wait::Waited,
    signals::Signals,
};

mod calls;
mod round;
mod wait;
mod warmup;

/// A plan shorter than this keeps its connection to the control plane open for the report.
const SHORT: Duration = Duration::from_secs(5);

/// How the sidecar's work came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The pod ends.
    BySignal,
    /// There is nothing left to do.
    Idle,
}

/// Works until nothing is left to do, or the pod ends. All that the work needed is dropped when this returns.
pub fn run(environment: Environment<'_>, signals: Signals) -> Ended {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log!("no runtime: {error}");
            return Ended::Idle;
        }
    };
    let patience = Patience::default();
    runtime.block_on(async {
        select! {
            biased;
            () = signals.received() => Ended::BySignal,
            () = live(environment, &patience) => Ended::Idle,
        }
    })
}

/// Does what the environment asks for, once in the pod's life, and reports it.
pub async fn live(environment: Environment<'_>, patience: &Patience) {
    if is_reported(environment) {
        log!("this pod has its report already; parked");
        return;
    }
    let Some(mut control_plane) = control_plane(environment, patience) else { return };
    let report = match Errand::read(environment) {
        Ok(errand) => carry_out(errand, &mut control_plane, patience).await,
        Err(problem) => Some(Report::without_requests(EndedBy::BadPlan, SystemTime::now(), &chain(&problem))),
    };
    let Some(report) = report else {
        log!("the gate is open already; parked");
        return;
    };
    log!("{}", report.message);
    match control_plane.submit(&report, patience.report).await {
        Ok(true) => log!("report recorded; parked"),
        Ok(false) => log!("an earlier report of this pod stands; parked"),
        Err(lost) => log!("report lost: {lost}; parked"),
    }
}

/// Whether this is a restart after the report.
fn is_reported(environment: Environment<'_>) -> bool {
    settings::pod_uid(environment)
        .is_ok_and(|uid| record::read(&settings::mount(environment), &uid).is_some())
}

fn control_plane(environment: Environment<'_>, patience: &Patience) -> Option<ControlPlane> {
    let contact =
        Contact::read(environment).inspect_err(|problem| log!("{}; parked", chain(problem))).ok()?;
    ControlPlane::at(contact, patience.answer)
        .inspect_err(|error| log!("no control plane to talk to: {}; parked", chain(error)))
        .ok()
}

/// Warms the app; `None` where the control plane wants no warm-up any more.
async fn carry_out(
    mut errand: Errand,
    control_plane: &mut ControlPlane,
    patience: &Patience,
) -> Option<Report> {
    let (start, started) = (Instant::now(), SystemTime::now());
    log!("waiting for the app on port {}", errand.question.port);
    let app = match wait::for_app(&errand, control_plane, patience).await {
        Waited::Answered(app) => app,
        Waited::NotNeeded => return None,
        Waited::InVain(message) => {
            let silent = Report::without_requests(EndedBy::AppUnavailable, started, &message);
            let planned_count = errand.plan.request_count();
            return Some(Report { planned_count, ended: SystemTime::now(), ..silent });
        }
    };
    let app_wait = start.elapsed();
    log!("the app answers at {app} after {app_wait:.1?}");
    let report = warm(&mut errand, app, app_wait, control_plane, patience).await?;
    Some(Report { app_wait: Some(app_wait), ..report })
}

/// Says that the requests start, and starts them: the control plane's word is waited for a moment, and heeded whenever it
/// comes. `None` where that says that no warm-up is wanted.
async fn warm(
    errand: &mut Errand,
    app: IpAddr,
    app_wait: Duration,
    control_plane: &mut ControlPlane,
    patience: &Patience,
) -> Option<Report> {
    let keeps_connection = errand.plan.shape.duration() < SHORT;
    let mut word = pin!(begin(control_plane, app_wait, patience.word, keeps_connection).fuse());
    match timeout(patience.start, &mut word).await {
        Ok(Some(Directive::Park)) => return None,
        Ok(_) => return Some(send(errand, app).await),
        Err(_) => log!("the control plane has not answered within {:?}", patience.start),
    }
    let report = select! {
        biased;
        report = send(errand, app) => report,
        Some(Directive::Park) = &mut word => return None,
    };
    if !word.is_terminated() {
        // The report follows on the same connection.
        word.await;
    }
    Some(report)
}

/// Sends the requests, the calls among them made ready before.
async fn send(errand: &mut Errand, app: IpAddr) -> Report {
    let started = SystemTime::now();
    match calls::make_ready(errand, app).await {
        Ok(()) => warmup::warm_up(errand, app).await,
        Err(problem) => {
            let unsent = Report::without_requests(problem.ended_by(), started, &chain(&problem));
            Report { planned_count: errand.plan.request_count(), ended: SystemTime::now(), ..unsent }
        }
    }
}

/// Says that the requests start; whoever does not answer in time has no say.
async fn begin(
    control_plane: &mut ControlPlane,
    app_wait: Duration,
    patience: Duration,
    keeps_connection: bool,
) -> Option<Directive> {
    let progress = BeginWarmupRequest {
        progress: Progress::Starting.into(),
        message: "the app answers".to_owned(),
        app_wait: wire::duration(app_wait),
    };
    let answer = timeout(patience, control_plane.begin(progress)).await;
    // Whatever is wrong with this connection, the report gets a new one.
    if !keeps_connection || !matches!(answer, Ok(Ok(_))) {
        control_plane.close();
    }
    match answer {
        Ok(Ok(directive)) => return Some(directive),
        Ok(Err(status)) => log!("starting without the control plane: {}", status.message()),
        Err(_) => log!("starting without the control plane: no answer within {patience:?}"),
    }
    None
}
