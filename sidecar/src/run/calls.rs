//! The gRPC calls of a plan, made ready once the app answers.

use std::net::{IpAddr, SocketAddr};

use proto::report::EndedBy;

use crate::{
    adapters::app::reflection,
    ground::{call::Uncallable, outcome::Failure, settings::Errand},
    log::log,
};

/// Why calls cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unready {
    /// The app cannot be asked.
    #[error("no gRPC with the app on port {port}: {why}")]
    App {
        /// The app's port.
        port: u16,
        /// What came of it.
        why: Failure,
    },
    /// A call does not fit the app.
    #[error(transparent)]
    Call(#[from] Uncallable),
}

impl Unready {
    /// What this is the end of a warm-up by.
    pub(super) fn ended_by(&self) -> EndedBy {
        match self {
            Self::App { why: Failure::NotGrpc | Failure::Malformed, .. } | Self::Call(_) => EndedBy::BadPlan,
            Self::App { .. } => EndedBy::AppUnavailable,
        }
    }
}

/// Makes the bodies of all calls of `errand`, by what `app` tells of its services.
pub(super) async fn make_ready(errand: &mut Errand, app: IpAddr) -> Result<(), Unready> {
    let services = errand.script.services();
    if services.is_empty() {
        return Ok(());
    }
    let port = errand.plan.port;
    let described = reflection::describe(SocketAddr::new(app, port), &services).await;
    let described = described.map_err(|why| Unready::App { port, why })?;
    log!("the app speaks gRPC {}", described.spoken.over());
    let told = described.services.as_ref().map_err(|untold| *untold);
    if let Err(untold) = told {
        log!("calls without a payload are sent unchecked: {untold}");
    }
    Ok(errand.script.fill(described.spoken, told)?)
}
