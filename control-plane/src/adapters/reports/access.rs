//! Who calls, and whether they may: asked of the API server.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, header::AUTHORIZATION};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use proto::names;
use tokio::{
    sync::Semaphore,
    time::{error::Elapsed, timeout},
};
use tonic::Status;
use tracing::warn;

use super::{super::metrics::Metrics, TIMEOUT, door::Identify, refusal::Refusal};
use crate::ground::identity::User;

/// The resource that reports are authorised as.
const GROUP: &str = "kube-booster.io";
const RESOURCE: &str = "warmupreports";
/// Tokens are 1–2 KiB.
const MAX_TOKEN: usize = 8 << 10;
/// Reviews under way at once; with 8 an API server on two cores took some 1,300 a second.
const MAX_REVIEWS: usize = 16;
/// For a place among them: longer than the burst of a thousand pods takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks the API server about tokens and rights.
#[derive(Clone)]
pub(super) struct Access {
    client: Client,
    metrics: Metrics,
    places: Arc<Semaphore>,
}

/// A caller of whom the API server said who it is.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) user: User,
    pub(super) token: Arc<str>,
}

impl Access {
    /// With places of its own, so that one service's callers do not take another's.
    pub(super) fn new(client: Client, metrics: Metrics) -> Self {
        Self { client, metrics, places: Arc::new(Semaphore::new(MAX_REVIEWS)) }
    }

    /// The user of `token`, which must be of our audience.
    pub(super) async fn authenticate(&self, token: &str) -> Result<User, Refusal> {
        let place = timeout(PATIENCE, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(Refusal::Busy("too many tokens are being reviewed")) };
        let review = TokenReview {
            metadata: ObjectMeta::default(),
            spec: TokenReviewSpec {
                audiences: Some(vec![names::TOKEN_AUDIENCE.to_owned()]),
                token: Some(token.to_owned()),
            },
            status: None,
        };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let reviewed = answered(reviews.create(&PostParams::default(), &review)).await?;
        user(reviewed).ok_or(Refusal::Invalid)
    }

    /// What the caller is told; counted.
    pub(super) fn status(&self, refusal: &Refusal) -> Status {
        refusal.status(&self.metrics)
    }

    /// Whether `user` may `verb` reports in `namespace` (all where empty).
    pub(super) async fn authorize(
        &self,
        user: &User,
        verb: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: text(&user.name),
                uid: text(&user.uid),
                groups: Some(user.groups.clone()),
                extra: Some(user.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: text(GROUP),
                    resource: text(RESOURCE),
                    verb: text(verb),
                    namespace: text(namespace),
                    name: text(name),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let reviewed = answered(reviews.create(&PostParams::default(), &review)).await?;
        if reviewed.status.is_some_and(|status| status.allowed) {
            return Ok(());
        }
        let place =
            if namespace.is_empty() { "all namespaces".to_owned() } else { format!("namespace {namespace}") };
        Err(Refusal::Forbidden(format!(
            "{} may not {verb} {RESOURCE}.{GROUP} in {place}; bind it to ClusterRole kube-booster-report-viewer",
            user.name
        )))
    }
}

impl Identify for Access {
    type Caller = Person;

    async fn identify(&self, headers: &HeaderMap) -> Result<Person, Status> {
        let identified = async {
            let token = bearer(headers).ok_or(Refusal::NoToken)?;
            Ok(Person { user: self.authenticate(token).await?, token: token.into() })
        };
        identified.await.map_err(|refusal| self.status(&refusal))
    }
}

/// The call's bearer token.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= MAX_TOKEN).then_some(token)
}

fn user(reviewed: TokenReview) -> Option<User> {
    let status = reviewed.status?;
    let is_ours =
        status.audiences.is_some_and(|audiences| audiences.iter().any(|a| a == names::TOKEN_AUDIENCE));
    if status.authenticated != Some(true) || !is_ours {
        return None;
    }
    let user = status.user?;
    Some(User {
        name: user.username?,
        uid: user.uid.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    })
}

/// What the API server says of a caller, where it does so in time.
async fn answered<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Refusal> {
    let answered = timeout(TIMEOUT, call).await.map_err(|_: Elapsed| Refusal::Unanswered)?;
    answered.map_err(|error| {
        warn!(%error, "cannot ask the API server about a caller");
        Refusal::Unanswered
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo};

    use super::*;

    fn reviewed(authenticated: bool, audience: &str) -> TokenReview {
        TokenReview {
            status: Some(TokenReviewStatus {
                authenticated: Some(authenticated),
                audiences: Some(vec![audience.to_owned()]),
                user: Some(UserInfo { username: Some("alice".to_owned()), ..UserInfo::default() }),
                ..TokenReviewStatus::default()
            }),
            ..TokenReview::default()
        }
    }

    #[test]
    fn only_a_verified_token_of_our_audience_names_a_user() {
        assert_eq!(user(reviewed(true, "kube-booster.io")).map(|user| user.name).as_deref(), Some("alice"));
        assert_eq!(user(reviewed(false, "kube-booster.io")), None);
        assert_eq!(user(reviewed(true, "https://kubernetes.default.svc")), None);
        assert_eq!(user(TokenReview::default()), None);
    }

    #[test]
    fn only_bearer_tokens_are_looked_at() {
        let with = |header: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(with("bearer abc").as_deref(), Some("abc"));
        for header in ["Basic abc", "Bearer", "Bearer ", "abc", &format!("Bearer {}", "a".repeat(9_000))] {
            assert_eq!(with(header), None);
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
