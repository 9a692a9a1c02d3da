//! Certificates that somebody else made, exchanged as the kubelet exchanges them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, ensure};
use control_plane::adapters::certificates::serving_names;
use hyper_util::rt::TokioIo;
use libtest_mimic::Trial;
use proto::v1::{GetReportRequest, report_service_client::ReportServiceClient};
use serde_json::json;
use tests::{
    authority::TestCa,
    control_plane::{NAMESPACE, World},
    patience::{SOON, eventually},
    pods::{annotated, create, namespace},
    programs,
    reports::{good_report, submit},
    sidecar::pod_token,
    trials::alone,
};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Uri},
};

use super::{LONG, SERVING_EXPIRES, ca_bundle, injected_all_the_while, is_injected, metric};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        alone("a swap of ..data is served in seconds and drops no connection", LONG, swapped),
        alone("files that are broken leave what was served before", LONG, broken),
        alone("the overlay for cert-manager mounts what its Certificate makes", SOON, overlay),
    ]
}

const FILES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// The files of generation `name`, as the kubelet lays them out; gives the CA.
fn lay_out(folder: &Path, name: &str, ca: &TestCa, days: i64) -> anyhow::Result<String> {
    let generation = folder.join(name);
    fs::create_dir(&generation)?;
    let (certificate, key) = ca.issue(serving_names(NAMESPACE), (-1, days))?;
    let ca = ca.certificate((-1, 90))?;
    for (file, text) in FILES.iter().zip([&certificate, &key, &ca]) {
        fs::write(generation.join(file), text)?;
        let link = folder.join(file);
        if !link.is_symlink() {
            symlink(Path::new("..data").join(file), link)?;
        }
    }
    swap(folder, name)?;
    Ok(ca)
}

fn swap(folder: &Path, name: &str) -> anyhow::Result<()> {
    symlink(name, folder.join("..data_tmp"))?;
    Ok(fs::rename(folder.join("..data_tmp"), folder.join("..data"))?)
}

/// A channel to the report server for who trusts `ca`, and how often it connected.
async fn counted(world: &World, ca: &str) -> anyhow::Result<(Channel, Arc<AtomicUsize>)> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
    let endpoint = Channel::from_static("https://localhost").tls_config(tls)?;
    let (port, count) = (world.ports.report, Arc::new(AtomicUsize::new(0)));
    let counter = count.clone();
    let connector = tower::service_fn(move |_: Uri| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(TokioIo::new) }
    });
    Ok((endpoint.connect_with_connector(connector).await?, count))
}

/// Whether the server on `channel` answers.
async fn answers(channel: &Channel) -> bool {
    let asked = ReportServiceClient::new(channel.clone()).get_report(GetReportRequest::default()).await;
    asked.is_err_and(|status| status.code() == Code::Unauthenticated)
}

async fn swapped() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (one, other) = (TestCa::new("one")?, TestCa::new("other")?);
    let first = lay_out(folder.path(), "..1", &one, 30)?;
    let world = World::start(&[&format!("--cert-dir={}", folder.path().display())]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "swapped", json!({})).await?;
    let ends = metric(&world, SERVING_EXPIRES).await?;
    let (channel, connections) = counted(&world, &first).await?;
    ensure!(answers(&channel).await);

    let second = injected_all_the_while(&pods, async {
        let second = lay_out(folder.path(), "..2", &other, 60)?;
        eventually("a certificate of the other CA", SOON, async || {
            let is_served = counted(&world, &second).await.is_ok();
            Ok((is_served && metric(&world, SERVING_EXPIRES).await? > ends).then_some(()))
        })
        .await?;
        ensure!(answers(&channel).await, "the connection from before goes on");
        Ok(second)
    })
    .await?;
    ensure!(connections.load(Ordering::Relaxed) == 1 && ca_bundle(&client).await?.contains(&second));
    ensure!(counted(&world, &first).await.is_err(), "the first certificate is served no more");
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = pod_token(&client, &pod, "kube-booster.io").await?;
    eventually("the CA for people", SOON, async || {
        Ok(tests::reports::published_ca(&client).await?.contains(&second).then_some(()))
    })
    .await?;
    ensure!(submit(&world, &token, &good_report()).await??.into_inner().recorded);
    Ok(())
}

async fn broken() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ca = TestCa::new("one")?;
    let text = lay_out(folder.path(), "..1", &ca, 30)?;
    let world = World::start(&[&format!("--cert-dir={}", folder.path().display())]).await?;
    let client = world.api.client().await?;
    let pods = namespace(&client, "broken", json!({})).await?;
    let ends = metric(&world, SERVING_EXPIRES).await?;
    fs::create_dir(folder.path().join("..2"))?;
    for file in FILES {
        fs::write(folder.path().join("..2").join(file), "rubbish")?;
    }
    injected_all_the_while(&pods, async {
        swap(folder.path(), "..2")?;
        eventually("a failure that is counted", SOON, async || {
            let failures = metric(&world, r#"kube_booster_certificate_failures_total{what="files"}"#).await?;
            Ok((failures > 0).then_some(()))
        })
        .await?;
        ensure!(world.log().contains("cannot serve with tls.crt and tls.key of "), "{}", world.log());
        ensure!(counted(&world, &text).await.is_ok() && metric(&world, SERVING_EXPIRES).await? == ends);
        lay_out(folder.path(), "..3", &ca, 60)?;
        eventually("the files after", SOON, async || {
            Ok((metric(&world, SERVING_EXPIRES).await? > ends).then_some(()))
        })
        .await
    })
    .await?;
    ensure!(is_injected(&pods).await? && world.readiness().await? == "ok");
    Ok(())
}

async fn overlay() -> anyhow::Result<()> {
    let folder = programs::checkout().join("manifests/overlays/cert-manager");
    let output =
        std::process::Command::new(programs::kubernetes("kubectl")?).arg("kustomize").arg(folder).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let documents: Vec<&str> = text.split("\n---\n").collect();
    let find = |kind: &str, name: &str| {
        let is_it = |document: &&&str| {
            document.contains(&format!("\nkind: {kind}\n"))
                && document.contains(&format!("\n  name: {name}\n"))
        };
        documents.iter().find(is_it).copied().with_context(|| format!("no {kind} {name} in {text}"))
    };
    let certificate = find("Certificate", "kube-booster")?;
    for name in serving_names(NAMESPACE) {
        let is_in = certificate.lines().any(|line| line.trim().trim_matches(['-', ' ', '\'', '"']) == name);
        ensure!(is_in, "{name} is missing in {certificate}");
    }
    ensure!(certificate.contains("secretName: kube-booster-certs"));
    let deployment = find("Deployment", "kube-booster")?;
    ensure!(deployment.contains("secretName: kube-booster-certs") && deployment.contains("--cert-dir="));
    let configuration = find("MutatingWebhookConfiguration", "zz-kube-booster")?;
    let injection = format!("cert-manager.io/inject-ca-from: {NAMESPACE}/kube-booster");
    ensure!(configuration.contains(&injection));
    let issuer = find("Issuer", "kube-booster")?;
    let root = find("Certificate", "kube-booster-root")?;
    ensure!(
        issuer.contains("secretName: kube-booster-root") && root.contains("secretName: kube-booster-root")
    );
    ensure!(root.contains("isCA: true") && find("Issuer", "kube-booster-root")?.contains("selfSigned: {}"));
    Ok(())
}
