//! Answers who was missed, on every replica: a page is looked at when somebody asks for it.

use anyhow::Context;
use tracing::warn;

use super::Scanner;
use crate::{
    adapters::{
        census::{self, Asked, CensusError},
        reach,
        reports::{MissedError, MissedPage, MissedQuestion},
    },
    ground::scan::{Finding, Page},
};

impl Scanner {
    pub(super) async fn answer(&self, question: MissedQuestion) {
        let MissedQuestion { namespace, labels, limit, token, answer } = question;
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        let page = self.missed_page(&Asked { namespace, labels, limit, token }).await;
        let page = page.map_err(|error| {
            if let Some(why) = mistake(&error) {
                return MissedError::Asked(why);
            }
            warn!(error = format!("{error:#}"), "cannot list missed pods");
            MissedError::Unavailable
        });
        let _ = answer.send(page);
    }

    async fn missed_page(&self, asked: &Asked) -> anyhow::Result<MissedPage> {
        let text = census::page(&self.client, asked).await?;
        let page: Page<'_> = serde_json::from_str(&text).context("cannot read the list of pods")?;
        let namespaces = reach::namespaces(&self.client, &self.own_namespace).await?;
        let findings = self.findings(&page, &namespaces);
        let missed = findings.into_iter().filter_map(|finding| match finding {
            Finding::Missed(missed) => Some(missed),
            Finding::Skipped(_) | Finding::Stray(_) | Finding::Narrow { .. } => None,
        });
        Ok(MissedPage { pods: missed.collect(), next: page.next().map(str::to_owned) })
    }
}

/// What the API server has to say about the question itself.
fn mistake(error: &anyhow::Error) -> Option<String> {
    let Some(CensusError::Api(error)) = error.downcast_ref() else { return None };
    match error.as_ref() {
        kube::Error::Api(status) if status.code == 400 => Some(status.message.clone()),
        kube::Error::Api(status) if status.code == 410 => {
            Some("the page token has expired; start again without one".to_owned())
        }
        _ => None,
    }
}
