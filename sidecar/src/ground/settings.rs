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

use super::{
    message::Unsendable,
    question::Question,
    script::{Script, Unplayable},
};

/// Environment variable that moves the mounted folder, for tests.
pub const MOUNT_ENV: &str = "KUBE_BOOSTER_MOUNT";

/// Reads one environment variable; `None` where it is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable that is missing or wrong.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {variable} {problem}")]
pub struct BadSetting {
    variable: &'static str,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("is not set")]
    Missing,
    #[error("is not an IP address with a port")]
    Address,
    #[error("holds no PEM certificate")]
    Certificate,
    #[error("holds something else than IP addresses")]
    Ips,
    #[error("holds no plan for us: {0}")]
    Plan(PlanError),
    #[error("asks for what cannot be done: {0}")]
    Unplayable(Unplayable),
    #[error("asks for a probe that cannot be sent: {0}")]
    Probe(Unsendable),
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
            return Err(BadSetting { variable: REPORT_CA_ENV, problem: Problem::Certificate });
        }
        Ok(Self {
            address: address
                .parse()
                .map_err(|_| BadSetting { variable: REPORT_ADDRESS_ENV, problem: Problem::Address })?,
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
        let bad = |problem| BadSetting { variable: PLAN_ENV, problem };
        let plan =
            Plan::from_json(&required(environment, PLAN_ENV)?).map_err(|error| bad(Problem::Plan(error)))?;
        let script = Script::of(&plan).map_err(|error| bad(Problem::Unplayable(error)))?;
        let question = Question::of(&plan.wait).map_err(|error| bad(Problem::Probe(error)))?;
        Ok(Self { plan, script, question, addresses: addresses(environment)? })
    }
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
        let address =
            text.parse().map_err(|_| BadSetting { variable: POD_IPS_ENV, problem: Problem::Ips })?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn required(environment: Environment<'_>, variable: &'static str) -> Result<String, BadSetting> {
    environment(variable)
        .filter(|value| !value.trim().is_empty())
        .ok_or(BadSetting { variable, problem: Problem::Missing })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proto::plan::{Limits, Probe, Request, Shape, Step, VERSION};

    use super::*;

    fn plan(path: &str) -> String {
        Plan {
            version: VERSION,
            trace_id: "0".repeat(32),
            port: 80,
            steps: vec![Step { requests: vec![Request::get(path)], count: 1 }],
            shape: Shape::Paced { duration_ms: 1 },
            limits: Limits { concurrency: 1, success_threshold: 0.5 },
            wait: Probe::TcpSocket { port: 80 },
        }
        .to_json()
    }

    fn good(variable: &str) -> Option<String> {
        Some(match variable {
            PLAN_ENV => plan("/$(HOME)"),
            REPORT_ADDRESS_ENV => "[fd00::1]:9090".to_owned(),
            REPORT_SERVER_NAME_ENV => "reports.example".to_owned(),
            REPORT_CA_ENV => "-----BEGIN CERTIFICATE-----".to_owned(),
            POD_UID_ENV => "u1".to_owned(),
            POD_IPS_ENV => "10.0.0.7, fd00::7,127.0.0.1".to_owned(),
            _ => return None,
        })
    }

    fn check(variable: &str, value: Option<&str>, expected: &Expect) {
        let environment = |asked: &str| {
            if asked == variable { value.map(str::to_owned) } else { good(asked) }
        };
        let contact = Contact::read(&environment).map(drop);
        let problem = contact.and_then(|()| Errand::read(&environment).map(drop)).unwrap_err();
        expected.assert_eq(&problem.to_string());
    }

    #[test]
    fn each_bad_variable_is_named_with_what_is_wrong() {
        check(PLAN_ENV, None, &expect!["the environment variable KUBE_BOOSTER_PLAN is not set"]);
        check(
            PLAN_ENV,
            Some(r#"{"version":9}"#),
            &expect!["the environment variable KUBE_BOOSTER_PLAN holds no plan for us: the plan has version 9, and this sidecar knows version 1"],
        );
        check(
            PLAN_ENV,
            Some(&plan("/a b")),
            &expect![[r#"the environment variable KUBE_BOOSTER_PLAN asks for what cannot be done: "/a b" is not a path"#]],
        );
        check(
            REPORT_ADDRESS_ENV,
            Some("reports.svc:9090"),
            &expect!["the environment variable KUBE_BOOSTER_REPORT_ADDRESS is not an IP address with a port"],
        );
        check(
            REPORT_CA_ENV,
            Some("nothing"),
            &expect!["the environment variable KUBE_BOOSTER_REPORT_CA holds no PEM certificate"],
        );
        check(
            REPORT_SERVER_NAME_ENV,
            Some(" "),
            &expect!["the environment variable KUBE_BOOSTER_REPORT_SERVER_NAME is not set"],
        );
        check(POD_UID_ENV, None, &expect!["the environment variable KUBE_BOOSTER_POD_UID is not set"]);
        check(
            POD_IPS_ENV,
            Some("10.0.0.7;10.0.0.8"),
            &expect!["the environment variable KUBE_BOOSTER_POD_IPS holds something else than IP addresses"],
        );
    }

    #[test]
    fn the_app_is_sought_on_loopback_first_and_nowhere_twice() {
        let errand = Errand::read(&good).unwrap();
        let texts: Vec<_> = errand.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["127.0.0.1", "::1", "10.0.0.7", "fd00::7"]);
        let without_ips = |variable: &str| good(variable).filter(|_| variable != POD_IPS_ENV);
        assert_eq!(Errand::read(&without_ips).unwrap().addresses.len(), 2);
    }

    #[test]
    fn the_kubelet_has_halved_the_dollars_already() {
        let errand = Errand::read(&good).unwrap();
        assert_eq!(errand.plan.steps[0].requests[0].path, "/$(HOME)");
    }
}
