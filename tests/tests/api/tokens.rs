//! Who may report: each token that is not a living pod's own is refused with its own status.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use libtest_mimic::Trial;
use proto::v1::{BeginWarmupRequest, Progress};
use serde_json::json;
use tests::{
    control_plane::{World, service_account_token},
    patience::{SOON, eventually},
    pods::{annotated, create, delete, namespace, opened, record},
    reports::{good_report, sidecars, submit, with_token},
    sidecar::pod_token,
    signer::{Parts, Signer},
    trials::{alone, trial},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const AUDIENCE: &str = "kube-booster.io";
/// For an API server and a control plane of a test's own.
const LONG: Duration = Duration::from_mins(3);

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial("a token that is not good is refused, told why and counted", SOON, world, refused),
        trial("a token of another cluster is refused", SOON, world, of_another_cluster),
        trial("a token that is bound to no pod may not report", SOON, world, bound_to_no_pod),
        trial("a deleted pod's token is refused for good", LONG, world, of_a_deleted_pod),
        trial("a report is taken for the pod of its token alone", SOON, world, of_another_pod),
        trial("a pod that calls too fast is told to wait, and others are not", SOON, world, too_fast),
        trial("a message that is too large is refused", SOON, world, too_large),
    ]
}

pub(crate) fn trials_alone() -> Vec<Trial> {
    vec![
        alone("tokens are verified without the API server, by a rotated key too", LONG, rotated),
        alone("without the issuer's documents the API server verifies tokens", LONG, without_documents),
    ]
}

async fn pod(world: &World, namespace_: &str) -> anyhow::Result<(Api<Pod>, Pod, String)> {
    let client = world.api.client().await?;
    let pods = namespace(&client, namespace_, json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let token = pod_token(&client, &pod, AUDIENCE).await?;
    Ok((pods, pod, token))
}

/// What a report with `token` is answered.
async fn answer(world: &World, token: &str) -> anyhow::Result<Result<bool, Status>> {
    Ok(submit(world, token, &good_report()).await?.map(|response| response.into_inner().recorded))
}

/// The counter of refusals for `reason`.
async fn refusals(world: &World, reason: &str) -> anyhow::Result<u64> {
    count(world, &format!(r#"kube_booster_report_calls_refused_total{{reason="{reason}"}}"#)).await
}

/// The counter of tokens that were checked `by` this.
async fn checks(world: &World, by: &str) -> anyhow::Result<u64> {
    count(world, &format!(r#"kube_booster_token_checks_total{{by="{by}"}}"#)).await
}

async fn count(world: &World, series: &str) -> anyhow::Result<u64> {
    let metrics = world.metrics().await?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap_or(" 0");
    Ok(value.trim().parse()?)
}

async fn check(world: &World, token: &str, code: Code, reason: &str) -> anyhow::Result<()> {
    let before = refusals(world, reason).await?;
    let status = answer(world, token).await?.err().context("a refusal")?;
    ensure!(status.code() == code, "{reason}: {status:?}");
    ensure!(refusals(world, reason).await? > before, "{reason} is counted");
    Ok(())
}

async fn refused(world: Arc<World>) -> anyhow::Result<()> {
    let (pods, pod, good) = pod(&world, "bad-tokens").await?;
    let client = world.api.client().await?;
    let (signer, parts, now) = (Signer::of(&world.api)?, Parts::of(&good)?, Timestamp::now().as_second());
    let other_audience = pod_token(&client, &pod, "https://kubernetes.default.svc").await?;
    let expired = signer.sign(&parts.clone().claiming("exp", now - 120))?;
    let early = signer.sign(&parts.clone().claiming("nbf", now + 600))?;
    let altered = {
        let claims = parts.clone().claiming("exp", now + 9_999);
        format!("{}.{}", claims.message(), good.rsplit('.').next().unwrap_or_default())
    };
    let unsigned = format!("{}.", parts.clone().headed("alg", "none").message());
    let by_secret = signer.sign(&parts.headed("alg", "HS256"))?;
    for (token, reason) in [
        ("garbage", "malformed"),
        (&*other_audience, "audience"),
        (&*expired, "expired"),
        (&*early, "not_yet_valid"),
        (&*altered, "signature"),
        (&*unsigned, "algorithm"),
        (&*by_secret, "algorithm"),
    ] {
        check(&world, token, Code::Unauthenticated, reason).await?;
    }
    let without = sidecars(&world).await?.begin_warmup(BeginWarmupRequest::default()).await;
    ensure!(without.err().map(|status| status.code()) == Some(Code::Unauthenticated));
    ensure!(refusals(&world, "no_token").await? > 0);
    ensure!(record(&pods.get("web").await?).is_none(), "nothing was recorded");
    ensure!(answer(&world, &good).await??);
    Ok(())
}

async fn of_another_cluster(world: Arc<World>) -> anyhow::Result<()> {
    let (_pods, _pod, good) = pod(&world, "foreign").await?;
    let (foreigner, parts) = (Signer::of_another_cluster()?, Parts::of(&good)?);
    let same_name = foreigner.sign(&parts)?;
    check(&world, &same_name, Code::Unauthenticated, "signature").await?;
    let own_name = foreigner.sign(&parts.headed("kid", "of-another-cluster"))?;
    check(&world, &own_name, Code::Unauthenticated, "invalid").await
}

async fn bound_to_no_pod(world: Arc<World>) -> anyhow::Result<()> {
    pod(&world, "unbound").await?;
    let token =
        service_account_token(&world.api.client().await?, "unbound", "default", Some(AUDIENCE)).await?;
    check(&world, &token, Code::PermissionDenied, "no_pod").await
}

async fn of_a_deleted_pod(world: Arc<World>) -> anyhow::Result<()> {
    let (pods, _pod, token) = pod(&world, "deleted").await?;
    delete(&pods, "web").await?;
    let again = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    // The API server itself takes the token for some seconds more.
    let status = eventually("a refusal for good", SOON, async || {
        let status = answer(&world, &token).await?.err().context("a refusal")?;
        ensure!([Code::Unavailable, Code::NotFound].contains(&status.code()), "{status:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok((status.code() == Code::NotFound).then_some(status))
    });
    ensure!(status.await?.message() == "the pod of the token is gone");
    let begun =
        sidecars(&world).await?.begin_warmup(with_token(BeginWarmupRequest::default(), &token)?).await;
    ensure!(begun.err().map(|status| status.code()) == Some(Code::NotFound));
    ensure!(refusals(&world, "pod_gone").await? >= 2);
    let own = pod_token(&world.api.client().await?, &again, AUDIENCE).await?;
    ensure!(answer(&world, &own).await??, "the pod of the same name reports by its own token");
    Ok(())
}

async fn of_another_pod(world: Arc<World>) -> anyhow::Result<()> {
    let (pods, _pod, token) = pod(&world, "two-pods").await?;
    let other = create(&pods, &annotated("other", 8080, &json!({}))).await?;
    ensure!(answer(&world, &token).await??);
    opened(&pods, "web", SOON).await?;
    ensure!(record(&pods.get("other").await?).is_none());
    // A token that claims the other's name with its own UID is still the first pod's.
    let claims = Parts::of(&token)?;
    let mut bound = claims.claims["kubernetes.io"].clone();
    bound["pod"]["name"] = "other".into();
    let mixed = Signer::of(&world.api)?.sign(&claims.claiming("kubernetes.io", bound))?;
    ensure!(!answer(&world, &mixed).await??, "an earlier result stands");
    ensure!(record(&pods.get("other").await?).is_none());
    let own = pod_token(&world.api.client().await?, &other, AUDIENCE).await?;
    ensure!(answer(&world, &own).await??);
    Ok(())
}

async fn too_fast(world: Arc<World>) -> anyhow::Result<()> {
    let (pods, _pod, token) = pod(&world, "too-fast").await?;
    let calm = create(&pods, &annotated("calm", 8080, &json!({}))).await?;
    let calm = pod_token(&world.api.client().await?, &calm, AUDIENCE).await?;
    let mut client = sidecars(&world).await?;
    let begin = || BeginWarmupRequest { progress: Progress::Starting.into(), ..Default::default() };
    let refused = eventually("a call too many", SOON, async || {
        match client.begin_warmup(with_token(begin(), &token)?).await {
            Err(status) if status.code() == Code::ResourceExhausted => Ok(Some(status)),
            Err(status) => Err(status.into()),
            Ok(_) => {
                // Faster than `eventually` looks.
                let calls = (0..20).map(|_| {
                    let mut client = client.clone();
                    let request = with_token(begin(), &token);
                    async move { client.begin_warmup(request?).await.map_err(anyhow::Error::from) }
                });
                futures::future::join_all(calls).await;
                Ok(None)
            }
        }
    });
    let refused = refused.await?;
    let pause = refused.get_details_retry_info().and_then(|info| info.retry_delay).context("a pause")?;
    ensure!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&pause), "{pause:?}");
    ensure!(refusals(&world, "too_fast").await? > 0);
    ensure!(answer(&world, &calm).await??);
    tokio::time::sleep(pause).await;
    ensure!(answer(&world, &token).await??, "after the pause it is taken");
    Ok(())
}

async fn too_large(world: Arc<World>) -> anyhow::Result<()> {
    let (_pods, _pod, token) = pod(&world, "too-large").await?;
    let large = BeginWarmupRequest { message: "x".repeat(65 << 10), ..Default::default() };
    let status = sidecars(&world).await?.begin_warmup(with_token(large, &token)?).await.err();
    ensure!(status.as_ref().is_some_and(|status| status.code() == Code::OutOfRange), "{status:?}");
    Ok(())
}

async fn rotated() -> anyhow::Result<()> {
    let mut world = World::start(&[]).await?;
    let (pods, _pod, old) = pod(&world, "rotated").await?;
    let known = "sidecars' tokens are verified by the cluster's own keys";
    eventually("the keys", SOON, async || Ok(world.log().contains(known).then_some(()))).await?;
    ensure!(answer(&world, &old).await??);
    ensure!((checks(&world, "keys").await?, checks(&world, "review").await?) == (1, 0));

    Arc::get_mut(&mut world.api).context("nobody else has the API server")?.rotate_account_key().await?;
    let client = world.api.client().await?;
    let next = create(&pods, &annotated("next", 8080, &json!({}))).await?;
    let new = pod_token(&client, &next, AUDIENCE).await?;
    ensure!(Parts::of(&new)?.header["kid"] != Parts::of(&old)?.header["kid"]);
    // By review at first, because the key is unknown; that is what makes the control plane look for it.
    eventually("a report by the new key", SOON, async || Ok(answer(&world, &new).await?.ok())).await?;
    ensure!(checks(&world, "review").await? > 0);
    let by_keys = checks(&world, "keys").await?;
    eventually("a check by the new key", SOON, async || {
        answer(&world, &new).await?.ok();
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok((checks(&world, "keys").await? > by_keys).then_some(()))
    })
    .await?;
    ensure!(!answer(&world, &old).await??, "the old key still holds");
    Ok(())
}

async fn without_documents() -> anyhow::Result<()> {
    let mut world = World::without_control_plane(&[]).await?;
    world.api.kubectl(&["delete", "clusterrolebinding", "system:service-account-issuer-discovery"])?;
    world.start_control_plane().await?;
    let (pods, _pod, token) = pod(&world, "reviewed").await?;
    ensure!(answer(&world, &token).await??);
    ensure!(!answer(&world, &token).await??);
    ensure!((checks(&world, "keys").await?, checks(&world, "review").await?) == (0, 1));
    ensure!(checks(&world, "recalled").await? == 1, "a good token is not asked about twice");
    check(&world, "garbage", Code::Unauthenticated, "invalid").await?;
    let unbound =
        service_account_token(&world.api.client().await?, "reviewed", "default", Some(AUDIENCE)).await?;
    check(&world, &unbound, Code::PermissionDenied, "no_pod").await?;
    delete(&pods, "web").await?;
    eventually("a deleted pod's token is refused", SOON, async || {
        let status = answer(&world, &token).await?.err().context("a refusal")?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok([Code::NotFound, Code::Unauthenticated].contains(&status.code()).then_some(()))
    })
    .await
}
