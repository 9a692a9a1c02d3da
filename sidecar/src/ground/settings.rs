//! What the container's environment tells the sidecar.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use proto::{
    names::{
        PLAN_ENV, POD_IPS_ENV, POD_UID_ENV, REPORT_ADDRESS_ENV, REPORT_CA_ENV, REPORT_SERVER_NAME_ENV,
        SIDECAR_MOUNT,
    },
    plan::{Plan, PlanError},
};

use super::{message::Unsendable, question::Question, script::Script};

/// Environment variable that moves the mounted folder, for tests.
pub const MOUNT_ENV: &str = "KUBE_BOOSTER_MOUNT";

/// Reads one environment variable; `None` where it is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable that is missing or wrong.
#[derive(Debug, thiserror::Error)]
pub enum BadSetting {
    /// Not set, or empty.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// Not what it should be.
    #[error("the environment variable {variable} holds no {expected}")]
    Malformed {
        /// The variable.
        variable: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The plan.
    #[error("the environment variable {PLAN_ENV} holds no plan that can be carried out")]
    Plan(#[source] BadPlan),
}

/// Why a plan cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum BadPlan {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] PlanError),
    /// Its requests cannot be sent.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    /// Nor its probe.
    #[error("the probe cannot be sent")]
    Probe(#[source] Unsendable),
}

/// Where the report goes.
#[derive(Clone)]
pub struct Contact {
    /// The control plane, by address: the sidecar asks no DNS.
    pub address: SocketAddr,
    /// The name in its certificate.
    pub server_name: String,
    /// The certificates of its CA, PEM.
    pub ca: String,
    /// The folder with the token and the pod's own report.
    pub mount: PathBuf,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.server_name, self.address)
    }
}

impl Contact {
    /// Reads the contact from the environment.
    pub fn read(environment: Environment<'_>) -> Result<Self, BadSetting> {
        let address = required(environment, REPORT_ADDRESS_ENV)?;
        let ca = required(environment, REPORT_CA_ENV)?;
        if !ca.contains("-----BEGIN CERTIFICATE-----") {
            return Err(BadSetting::Malformed { variable: REPORT_CA_ENV, expected: "PEM certificate" });
        }
        let address = address.parse().map_err(|_| BadSetting::Malformed {
            variable: REPORT_ADDRESS_ENV,
            expected: "IP address with a port",
        })?;
        Ok(Self {
            address,
            server_name: required(environment, REPORT_SERVER_NAME_ENV)?,
            ca,
            mount: mount(environment),
        })
    }
}

/// What the sidecar is there to do.
#[derive(Debug)]
pub struct Errand {
    /// The plan.
    pub plan: Plan,
    /// Its requests, checked.
    pub script: Script,
    /// How to tell that the app answers.
    pub question: Question,
    /// Where the app may listen, the likeliest first.
    pub addresses: Vec<IpAddr>,
}

impl Errand {
    /// Reads the errand from the environment.
    pub fn read(environment: Environment<'_>) -> Result<Self, BadSetting> {
        pod_uid(environment)?;
        let plan = required(environment, PLAN_ENV)?;
        let (plan, script, question) = prepared(&plan).map_err(BadSetting::Plan)?;
        Ok(Self { plan, script, question, addresses: addresses(environment)? })
    }
}

fn prepared(plan: &str) -> Result<(Plan, Script, Question), BadPlan> {
    let plan = Plan::from_json(plan)?;
    let script = Script::of(&plan)?;
    let question = Question::of(&plan.wait).map_err(BadPlan::Probe)?;
    Ok((plan, script, question))
}

/// The UID of our pod.
pub fn pod_uid(environment: Environment<'_>) -> Result<String, BadSetting> {
    required(environment, POD_UID_ENV)
}

/// The mounted folder.
#[must_use]
pub fn mount(environment: Environment<'_>) -> PathBuf {
    environment(MOUNT_ENV).map_or_else(|| PathBuf::from(SIDECAR_MOUNT), PathBuf::from)
}

/// Loopback, then the pod's own addresses, which may not be known yet: most apps listen on all.
fn addresses(environment: Environment<'_>) -> Result<Vec<IpAddr>, BadSetting> {
    let mut addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let of_pod = environment(POD_IPS_ENV).unwrap_or_default();
    for text in of_pod.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let address = text
            .parse()
            .map_err(|_| BadSetting::Malformed { variable: POD_IPS_ENV, expected: "list of IP addresses" })?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn required(environment: Environment<'_>, variable: &'static str) -> Result<String, BadSetting> {
    environment(variable).filter(|value| !value.trim().is_empty()).ok_or(BadSetting::Missing(variable))
}

#[cfg(test)]
mod tests;
