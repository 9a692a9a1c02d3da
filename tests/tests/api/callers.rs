//! A webhook that serves nobody but the API server.

use std::{net::Ipv4Addr, process::Command, time::Duration};

use anyhow::ensure;
use control_plane::adapters::certificates::Authority;
use libtest_mimic::Trial;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use tests::{
    control_plane::World,
    patience::{SOON, eventually},
    programs,
    reports::{people, published_ca},
    trials::alone,
    webhook::{self, Caller},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone(
            "only callers with a certificate of the CA are served, and the CA can change",
            2 * SOON,
            verified,
        ),
        alone("a CA of callers that is missing or broken is said at the start", SOON, broken),
    ]
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A client's certificate with its key.
fn certificate(authority: &Authority) -> anyhow::Result<(String, String)> {
    let issuer = Issuer::from_ca_cert_pem(authority.certificate(), KeyPair::from_pem(&authority.key())?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

async fn verified() -> anyhow::Result<()> {
    let (ours, other) = (Authority::generate(now())?, Authority::generate(now())?);
    let file = tempfile::NamedTempFile::new()?;
    let mut world =
        World::without_control_plane(&[&format!("--client-ca-file={}", file.path().display())]).await?;
    let of_api_server = std::fs::read_to_string(world.api.folder().join("ca.crt"))?;
    std::fs::write(file.path(), [ours.certificate(), &of_api_server].concat())?;
    // This waits until the API server is served, and until we ourselves are.
    world.start_control_plane().await?;
    let ca = published_ca(&world.api.client().await?).await?;
    let caller = |certificate: Option<&(String, String)>| {
        let certificate = certificate.map(|(chain, key)| (chain.as_str(), key.as_str()));
        Caller::with_certificate(world.ports.webhook, Ipv4Addr::LOCALHOST, &ca, certificate)
    };
    let (of_ours, of_other) = (certificate(&ours)?, certificate(&other)?);
    let with = caller(Some(&of_ours))?;
    ensure!(with.review(&webhook::usual()).await?["response"]["patch"].is_string());
    for stranger in [caller(None)?, caller(Some(&of_other))?] {
        ensure!(stranger.review(&webhook::usual()).await.is_err());
    }
    // The report server asks for none.
    people(&world).await?;

    std::fs::write(file.path(), "garbage")?;
    tokio::time::sleep(Duration::from_secs(11)).await;
    ensure!(with.review(&webhook::usual()).await.is_ok(), "a broken file changed something");
    std::fs::write(file.path(), other.certificate())?;
    let with_other = caller(Some(&of_other))?;
    eventually("the other CA", SOON, async || Ok(with_other.review(&webhook::usual()).await.ok())).await?;
    // On a new connection; this caller has sessions of the old ones to resume.
    ensure!(with.review(&webhook::usual()).await.is_err());
    Ok(())
}

async fn broken() -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    for (path, why) in [
        ("/nowhere/ca.crt", "cannot read /nowhere/ca.crt"),
        (&file.path().display().to_string(), "has no certificate of a CA"),
    ] {
        let mut program = Command::new(programs::own("kube-booster-control-plane")?);
        let output = program.arg(format!("--client-ca-file={path}")).output()?;
        let text = String::from_utf8([output.stdout, output.stderr].concat())?;
        ensure!(!output.status.success() && text.contains(why), "{text}");
        ensure!(text.contains("cannot use --client-ca-file"), "{text}");
    }
    Ok(())
}
