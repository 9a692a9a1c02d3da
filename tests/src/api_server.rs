//! A real API server with its etcd, on loopback, without a node: ready in seconds, and no root needed.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, ensure};
use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use crate::{daemon::Daemon, patience::eventually, programs};

/// The administrator's bearer token.
pub const ADMIN_TOKEN: &str = "admin";
const START: Duration = Duration::from_mins(2);

/// An API server of our own.
#[derive(Debug)]
pub struct ApiServer {
    folder: TempDir,
    url: String,
    etcd_url: String,
    port: u16,
    // Dropped in this order: the API server first.
    process: Daemon,
    _etcd: Daemon,
}

/// Below those that the kernel gives to clients: none of these takes a port between its choice and its use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that is free, and that this process is not given twice.
pub fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Other test programs begin elsewhere.
    let first = std::process::id().wrapping_mul(97);
    for _ in 0..count {
        let offset = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(offset)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port from {PORTS:?} is free")
}

impl ApiServer {
    /// Starts etcd and the API server, and waits until it is ready.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (etcd_url, etcd) = start_etcd(folder.path())?;
        write_identities(folder.path())?;
        let port = free_port()?;
        let url = format!("https://127.0.0.1:{port}");
        let api_server = start_api_server(folder.path(), &etcd_url, port)?;
        let server = Self { folder, url, etcd_url, port, process: api_server, _etcd: etcd };
        fs::write(server.kubeconfig(), server.kubeconfig_for(ADMIN_TOKEN)?)?;
        server.ready().await?;
        Ok(server)
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let client = self.client().await?;
        let ready = eventually("an API server that is ready", START, async || {
            let request = axum::http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await.ok())
        });
        ready.await.with_context(|| self.process.output())?;
        Ok(())
    }

    /// Starts the API server anew with another key that signs `ServiceAccount` tokens; those of the old one still hold.
    pub async fn rotate_account_key(&mut self) -> anyhow::Result<()> {
        self.process.kill();
        let old = fs::read_to_string(self.folder().join("accounts.pub"))?;
        write_account_key(self.folder(), &old)?;
        self.process = start_api_server(self.folder.path(), &self.etcd_url, self.port)?;
        self.ready().await
    }

    /// A folder that goes with the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it listens on, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("admin.kubeconfig")
    }

    /// A kubeconfig for the bearer of `token`.
    pub fn kubeconfig_for(&self, token: &str) -> anyhow::Result<String> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": self.url, "certificate-authority": self.folder().join("ca.crt")}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        Ok(serde_json::to_string(&config)?)
    }

    /// A client with all rights; each test makes its own, because a client belongs to its runtime.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let config = Kubeconfig::read_from(self.kubeconfig())?;
        Ok(Client::try_from(Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?)?)
    }

    /// Runs kubectl as administrator; gives its output, standard error included.
    pub fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(programs::kubernetes("kubectl")?)
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .output()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success(), "kubectl {arguments:?} failed: {text}");
        Ok(text)
    }
}

fn start_etcd(folder: &Path) -> anyhow::Result<(String, Daemon)> {
    let (client, peer) =
        (format!("http://127.0.0.1:{}", free_port()?), format!("http://127.0.0.1:{}", free_port()?));
    let mut etcd = Command::new(programs::kubernetes("etcd")?);
    etcd.arg(format!("--data-dir={}", folder.join("etcd").display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=default={peer}"))
        // Nothing of a test is worth a wait for the disk.
        .args(["--unsafe-no-fsync", "--log-level=warn"]);
    Ok((client, Daemon::start(&etcd, &folder.join("etcd.log"))?))
}

fn start_api_server(folder: &Path, etcd_url: &str, port: u16) -> anyhow::Result<Daemon> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut server = Command::new(programs::kubernetes("kube-apiserver")?);
    server
        .arg(format!("--etcd-servers={etcd_url}"))
        .arg(format!("--secure-port={port}"))
        // An advertised address may not be loopback; this one is for documentation and nobody dials it.
        .args([
            "--bind-address=127.0.0.1",
            "--advertise-address=203.0.113.1",
            "--endpoint-reconciler-type=none",
        ])
        .arg(format!("--tls-cert-file={}", file("server.crt")))
        .arg(format!("--tls-private-key-file={}", file("server.key")))
        .arg(format!("--token-auth-file={}", file("tokens.csv")))
        .arg(format!("--service-account-key-file={}", file("accounts.pub")))
        .arg(format!("--service-account-signing-key-file={}", file("accounts.key")))
        .arg(format!("--admission-control-config-file={}", file("admission.yaml")))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .args(["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC", "--allow-privileged"])
        // These keep threads and memory for what no test here asks for.
        .args(["--profiling=false", "--enable-priority-and-fairness=false"]);
    Daemon::start(&server, &folder.join("api-server.log"))
}

/// CA and serving certificate, the administrator's token, and the key that signs `ServiceAccount` tokens.
fn write_identities(folder: &Path) -> anyhow::Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca_params = CertificateParams::default();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key)?.pem();
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let issuer = Issuer::new(ca_params, &ca_key);
    let certificate = params.signed_by(&key, &issuer)?;
    let write = |name: &str, text: &str| fs::write(folder.join(name), text);
    write("ca.crt", &ca)?;
    write("server.crt", &certificate.pem())?;
    write("server.key", &key.serialize_pem())?;
    write("tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,system:masters\n"))?;
    write_client(folder, &issuer)?;
    write_account_key(folder, "")
}

/// A new key for `ServiceAccount` tokens, beside which the public keys `others` are trusted.
fn write_account_key(folder: &Path, others: &str) -> anyhow::Result<()> {
    let accounts = KeyPair::generate()?;
    fs::write(folder.join("accounts.key"), accounts.serialize_pem())?;
    fs::write(folder.join("accounts.pub"), accounts.public_key_pem() + others)?;
    Ok(())
}

/// What the API server shows to webhooks that ask who calls: a certificate of its own CA.
fn write_client(folder: &Path, issuer: &Issuer<'_, &KeyPair>) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    fs::write(folder.join("client.crt"), params.signed_by(&key, issuer)?.pem())?;
    fs::write(folder.join("client.key"), key.serialize_pem())?;
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": {
        "client-certificate": folder.join("client.crt"), "client-key": folder.join("client.key")}}]});
    fs::write(folder.join("webhooks.kubeconfig"), kubeconfig.to_string())?;
    let admission = json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": [{"name": "MutatingAdmissionWebhook", "configuration": {
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration",
            "kubeConfigFile": folder.join("webhooks.kubeconfig"),
        }}],
    });
    fs::write(folder.join("admission.yaml"), admission.to_string())?;
    Ok(())
}
