//! A real Prometheus on loopback.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::SystemTime};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    api_server::free_port,
    control_plane::http_get,
    daemon::Daemon,
    patience::{SOON, eventually},
    programs,
};

/// A Prometheus with data of its own; it is killed when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    process: Daemon,
    _folder: TempDir,
}

/// The samples of one series, by seconds since 1970.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Series {
    /// Its labels, the name included.
    pub labels: BTreeMap<String, String>,
    /// Time and value; what is no number, such as 0/0, is left out.
    pub points: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts it with `config` and the rules `groups`, which are looked at every second.
    pub async fn start(mut config: Value, groups: &[Value]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        config["global"]["evaluation_interval"] = "1s".into();
        let groups: Vec<Value> = groups.iter().map(|group| often(group.clone())).collect();
        fs::write(folder.path().join("rules.json"), json!({"groups": groups}).to_string())?;
        config["rule_files"] = json!(["rules.json"]);
        // YAML holds all of JSON.
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config.to_string())?;
        let port = free_port()?;
        let mut command = Command::new(programs::of_system("prometheus", "prometheus")?);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--log.level=warn", "--query.lookback-delta=15s"]);
        let process = Daemon::start(&command, &folder.path().join("log"))?;
        let ready = eventually("a Prometheus that is ready", SOON, async || {
            let answer = http_get(port, "/-/ready").await;
            Ok(answer.ok().filter(|answer| answer.contains(" 200 ")))
        });
        ready.await.with_context(|| process.output())?;
        Ok(Self { port, process, _folder: folder })
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it complained of so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// What `expression` gives from `start` to `end`, every `step` seconds; series without a number are left out.
    pub async fn range(
        &self,
        expression: &str,
        (start, end): (f64, f64),
        step: f64,
    ) -> anyhow::Result<Vec<Series>> {
        let path = format!("query_range?query={}&start={start}&end={end}&step={step}", encoded(expression));
        let data = self.ask(&path).await.with_context(|| expression.to_owned())?;
        let series = data["result"].as_array().context("a matrix")?.iter().map(series);
        Ok(series.filter(|series| !series.points.is_empty()).collect())
    }

    /// All rules with what became of them.
    pub async fn rules(&self) -> anyhow::Result<Vec<Value>> {
        let data = self.ask("rules").await?;
        let groups = data["groups"].as_array().context("groups")?;
        Ok(groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten().cloned()).collect())
    }

    /// Whether all targets were asked and answered.
    pub async fn is_fed(&self) -> anyhow::Result<bool> {
        let data = self.ask("targets?state=active").await?;
        let targets = data["activeTargets"].as_array().context("targets")?;
        Ok(!targets.is_empty() && targets.iter().all(|target| target["health"] == "up"))
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let answer = http_get(self.port, &format!("/api/v1/{path}")).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
        let mut body: Value = serde_json::from_str(body).with_context(|| answer.clone())?;
        ensure!(body["status"] == "success", "{body}");
        Ok(body["data"].take())
    }
}

/// Runs `promtool` in `folder`; gives what it says where it is content.
pub fn promtool(folder: &Path, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let file = folder.join("input");
    fs::write(&file, input)?;
    let mut command = Command::new(programs::of_system("promtool", "prometheus")?);
    let output = command.current_dir(folder).args(arguments).stdin(fs::File::open(&file)?).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "promtool {arguments:?}: {}\n{said}", output.status);
    Ok(said)
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn often(mut group: Value) -> Value {
    group["interval"] = "1s".into();
    group
}

fn series(found: &Value) -> Series {
    let labels = found["metric"].as_object().into_iter().flatten();
    let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    let points = found["values"].as_array().into_iter().flatten();
    let points = points.filter_map(|point| Some((point[0].as_f64()?, point[1].as_str()?.parse().ok()?)));
    Series {
        labels: labels.collect(),
        points: points.filter(|(_, value): &(_, f64)| value.is_finite()).collect(),
    }
}

/// As a part of a query.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encode =
        |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}
