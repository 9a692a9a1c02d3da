//! People and programs ask for reports.

use std::{process::Command, sync::Arc};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use proto::v1::{GetReportRequest, ListReportsRequest, State};
use serde_json::json;
use tests::{
    control_plane::{World, service_account_token},
    patience::SOON,
    pods::{annotated, create, namespace},
    programs,
    reports::{good_report, people, published_ca, submit, with_token},
    sidecar::pod_token,
    trials::trial,
};
use tonic::Code;

const AUDIENCE: &str = "kube-booster.io";

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial(
            "a report is shown to those who may see it, and to nobody else",
            SOON,
            world,
            shown_to_the_entitled,
        ),
        trial("reports are listed in pages", SOON, world, listed_in_pages),
        trial("a name that would leave its path is refused", SOON, world, odd_names),
        trial("grpcurl lists and describes the services and gets a report", SOON, world, grpcurl),
    ]
}

/// A token of a new ServiceAccount that may see the reports of `namespace_`.
async fn viewer(world: &World, namespace_: &str) -> anyhow::Result<String> {
    let binding = format!("--serviceaccount={namespace_}:viewer");
    world.api.kubectl(&["--namespace", namespace_, "create", "serviceaccount", "viewer"])?;
    let role = "--clusterrole=kube-booster-report-viewer";
    world.api.kubectl(&["--namespace", namespace_, "create", "rolebinding", "viewer", role, &binding])?;
    service_account_token(&world.api.client().await?, namespace_, "viewer", Some(AUDIENCE)).await
}

fn get(namespace: &str, name: &str) -> GetReportRequest {
    GetReportRequest { namespace: namespace.to_owned(), name: name.to_owned(), uid: String::new() }
}

async fn shown_to_the_entitled(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "entitled", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    let (viewer, mut people) = (viewer(&world, "entitled").await?, people(&world).await?);
    let pending = people.get_report(with_token(get("entitled", "web"), &viewer)?).await?.into_inner();
    ensure!(pending.state() == State::Pending && pending.result.is_none());

    submit(&world, &pod_token(&client, &pod, AUDIENCE).await?, &good_report()).await??;
    let report = people.get_report(with_token(get("entitled", "web"), &viewer)?).await?.into_inner();
    ensure!((report.state(), report.reason.as_str()) == (State::Complete, "WarmupSucceeded"));
    ensure!(report.result.context("a result")?.request_count == 3);

    let nobody = service_account_token(&client, "entitled", "default", Some(AUDIENCE)).await?;
    let code = |answer: Result<_, tonic::Status>| answer.err().map(|status| status.code());
    let refused = people.get_report(with_token(get("entitled", "web"), &nobody)?).await;
    ensure!(code(refused) == Some(Code::PermissionDenied));
    let elsewhere = people.get_report(with_token(get("kube-system", "web"), &viewer)?).await;
    ensure!(code(elsewhere) == Some(Code::PermissionDenied));
    let missing = people.get_report(with_token(get("entitled", "other"), &viewer)?).await;
    ensure!(code(missing) == Some(Code::NotFound));
    let other_uid = GetReportRequest { uid: "u0".to_owned(), ..get("entitled", "web") };
    ensure!(code(people.get_report(with_token(other_uid, &viewer)?).await) == Some(Code::NotFound));
    let without_token = people.get_report(get("entitled", "web")).await;
    ensure!(code(without_token) == Some(Code::Unauthenticated));
    Ok(())
}

async fn listed_in_pages(world: Arc<World>) -> anyhow::Result<()> {
    let pods = namespace(&world.api.client().await?, "pages", json!({})).await?;
    let expected: Vec<String> = (0..25).map(|i| format!("web-{i:02}")).collect();
    for name in &expected {
        create(&pods, &annotated(name, 8080, &json!({}))).await?;
    }
    let (viewer, mut people) = (viewer(&world, "pages").await?, people(&world).await?);
    let asked =
        ListReportsRequest { namespace: "pages".to_owned(), page_size: 4, ..ListReportsRequest::default() };
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListReportsRequest { page_token, ..asked.clone() };
        let page = people.list_reports(with_token(request, &viewer)?).await?.into_inner();
        ensure!(page.reports.len() <= 4);
        names.extend(page.reports.into_iter().filter_map(|report| Some(report.pod?.name)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    ensure!(names == expected, "{names:?}");
    let made_up = ListReportsRequest { page_token: "made-up".to_owned(), ..asked.clone() };
    let refused = people
        .list_reports(with_token(made_up, &viewer)?)
        .await
        .err()
        .context("no page of a made-up token")?;
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    let everywhere = ListReportsRequest { namespace: String::new(), ..asked };
    let refused = people.list_reports(with_token(everywhere, &viewer)?).await.err().context("a refusal")?;
    ensure!(refused.code() == Code::PermissionDenied, "{refused:?}");
    Ok(())
}

async fn odd_names(world: Arc<World>) -> anyhow::Result<()> {
    namespace(&world.api.client().await?, "odd-names", json!({})).await?;
    let (viewer, mut people) = (viewer(&world, "odd-names").await?, people(&world).await?);
    for (namespace, name) in
        [("odd-names", "../../secrets/x"), ("odd-names/pods", "web"), ("odd-names", ""), ("", "web")]
    {
        let status =
            people.get_report(with_token(get(namespace, name), &viewer)?).await.err().context("a refusal")?;
        ensure!(status.code() == Code::InvalidArgument, "{status:?}");
    }
    Ok(())
}

async fn grpcurl(world: Arc<World>) -> anyhow::Result<()> {
    let client = world.api.client().await?;
    let pods = namespace(&client, "grpcurl", json!({})).await?;
    let pod = create(&pods, &annotated("web", 8080, &json!({}))).await?;
    submit(&world, &pod_token(&client, &pod, AUDIENCE).await?, &good_report()).await??;
    let ca = world.api.folder().join("reports-ca.crt");
    std::fs::write(&ca, published_ca(&client).await?)?;
    let (viewer, address) = (viewer(&world, "grpcurl").await?, format!("localhost:{}", world.ports.report));
    let run = |arguments: &[&str]| -> anyhow::Result<String> {
        let mut command = Command::new(programs::kubernetes("grpcurl")?);
        let output = command.arg("-cacert").arg(&ca).args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let listed = run(&[&address, "list"])?;
    for service in ["kube_booster.v1.WarmupService", "kube_booster.v1.ReportService", "grpc.health.v1.Health"]
    {
        ensure!(listed.contains(service), "{listed}");
    }
    ensure!(run(&[&address, "describe", "kube_booster.v1.Result"])?.contains("double success_rate = 6;"));
    ensure!(run(&[&address, "grpc.health.v1.Health/Check"])?.contains("SERVING"));
    let header = format!("authorization: Bearer {viewer}");
    let asked = r#"{"namespace": "grpcurl", "name": "web"}"#;
    let report = run(&["-H", &header, "-d", asked, &address, "kube_booster.v1.ReportService/GetReport"])?;
    ensure!(
        report.contains(r#""requestCount": 3"#) && report.contains(r#""reason": "WarmupSucceeded""#),
        "{report}"
    );
    Ok(())
}
