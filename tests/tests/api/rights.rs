//! What the manifests permit the control plane, as the API server understands them.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::ensure;
use expect_test::{Expect, expect};
use k8s_openapi::api::authorization::v1::{ResourceRule, SelfSubjectRulesReview, SubjectRulesReviewStatus};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    control_plane::{NAMESPACE, World, service_account_token},
    patience::SOON,
    pods::namespace,
    trials::trial,
};

pub(crate) fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    vec![
        trial(
            "the control plane's rights in all namespaces are these and no others",
            SOON,
            world,
            in_all_namespaces,
        ),
        trial(
            "the control plane's rights in its own namespace are these and no others",
            SOON,
            world,
            in_own_namespace,
        ),
        trial("a sidecar's ServiceAccount has no rights by us", SOON, world, of_a_sidecar),
    ]
}

/// The rights of `client` in `namespace`, a line each: verbs, resource with its group, names.
async fn rights(client: &Client, namespace: &str) -> anyhow::Result<BTreeSet<String>> {
    let review: SelfSubjectRulesReview =
        serde_json::from_value(json!({"metadata": {}, "spec": {"namespace": namespace}}))?;
    let answer =
        Api::<SelfSubjectRulesReview>::all(client.clone()).create(&PostParams::default(), &review).await?;
    let SubjectRulesReviewStatus { incomplete, non_resource_rules, resource_rules, .. } =
        answer.status.unwrap_or_default();
    ensure!(!incomplete, "the API server does not know all rights");
    let urls = non_resource_rules.into_iter().map(|rule| {
        format!("{} {}", rule.verbs.join(","), rule.non_resource_urls.unwrap_or_default().join(","))
    });
    Ok(resource_rules.iter().flat_map(lines).chain(urls).collect())
}

fn lines(rule: &ResourceRule) -> Vec<String> {
    let mut verbs = rule.verbs.clone();
    verbs.sort();
    let (groups, resources) =
        (rule.api_groups.clone().unwrap_or_default(), rule.resources.clone().unwrap_or_default());
    let names = rule.resource_names.clone().unwrap_or_default().join(",");
    let names = if names.is_empty() { names } else { format!(" named {names}") };
    let of_group = |group: &str, resource: &str| {
        let group = if group.is_empty() { String::new() } else { format!(".{group}") };
        format!("{} {resource}{group}{names}", verbs.join(","))
    };
    groups
        .iter()
        .flat_map(|group| resources.iter().map(move |resource| (group, resource)))
        .map(|(group, resource)| of_group(group, resource))
        .collect()
}

/// A client of `namespace`'s ServiceAccount `default`, which has what every ServiceAccount has.
async fn nobody(world: &World, namespace: &str) -> anyhow::Result<Client> {
    let token = service_account_token(&world.api.client().await?, namespace, "default", None).await?;
    let config: Kubeconfig = serde_json::from_str(&world.api.kubeconfig_for(&token)?)?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// Compares the control plane's rights in `asked`, beyond what every ServiceAccount has, with `expected`.
async fn check(world: &World, own: &str, asked: &str, expected: &Expect) -> anyhow::Result<()> {
    namespace(&world.api.client().await?, own, json!({})).await?;
    let everybodys = rights(&nobody(world, own).await?, asked).await?;
    let rights = rights(&world.control_plane_client().await?, asked).await?;
    let beyond: Vec<&str> = rights.difference(&everybodys).map(String::as_str).collect();
    expected.assert_eq(&beyond.join("\n"));
    Ok(())
}

async fn in_all_namespaces(world: Arc<World>) -> anyhow::Result<()> {
    check(
        &world,
        "rights-everywhere",
        "rights-everywhere",
        &expect![[r"
            create subjectaccessreviews.authorization.k8s.io
            create tokenreviews.authentication.k8s.io
            create,patch events.events.k8s.io
            get,list,patch,watch mutatingwebhookconfigurations.admissionregistration.k8s.io named zz-kube-booster
            get,list,watch pods
            list namespaces
            list,watch limitranges
            list,watch resourcequotas
            patch pods
            patch pods/status"]],
    )
    .await
}

async fn in_own_namespace(world: Arc<World>) -> anyhow::Result<()> {
    check(
        &world,
        "rights-at-home",
        NAMESPACE,
        &expect![[r"
            create leases.coordination.k8s.io
            create secrets
            create subjectaccessreviews.authorization.k8s.io
            create tokenreviews.authentication.k8s.io
            create,get,patch configmaps named kube-booster-ca
            create,patch events.events.k8s.io
            get,list,patch,watch mutatingwebhookconfigurations.admissionregistration.k8s.io named zz-kube-booster
            get,list,update,watch secrets named kube-booster-ca
            get,list,watch pods
            get,list,watch services named kube-booster-reports
            get,update leases.coordination.k8s.io named kube-booster
            list namespaces
            list,watch limitranges
            list,watch resourcequotas
            patch pods
            patch pods/status"]],
    )
    .await
}

async fn of_a_sidecar(world: Arc<World>) -> anyhow::Result<()> {
    namespace(&world.api.client().await?, "rights-sidecar", json!({})).await?;
    let rights = rights(&nobody(&world, "rights-sidecar").await?, "rights-sidecar").await?;
    for resource in ["pods", "events", "kube-booster"] {
        ensure!(!rights.iter().any(|right| right.contains(resource)), "{rights:?}");
    }
    Ok(())
}
