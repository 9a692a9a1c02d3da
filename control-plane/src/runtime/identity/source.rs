//! Where our certificates come from.

use std::path::PathBuf;

use anyhow::Context;
use futures::stream::{BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, core::PartialObjectMeta};
use tokio::time::timeout;

use super::TIMEOUT;
use crate::adapters::{
    certificates::{self, Authorities, Bundle, Credentials, Occasion, Serving},
    changes,
};

/// Files that somebody else writes, or CAs of our own.
pub(super) enum Source {
    Files { folder: PathBuf, read: Option<Credentials> },
    Own(Box<Own>),
}

pub(super) struct Own {
    client: Client,
    namespace: String,
    known: Option<Authorities>,
    /// Those that the last certificate is of.
    issued_by: Option<Authorities>,
}

impl Source {
    pub(super) fn new(folder: Option<PathBuf>, client: Client, namespace: String) -> Self {
        match folder {
            Some(folder) => Self::Files { folder, read: None },
            None => Self::Own(Box::new(Own { client, namespace, known: None, issued_by: None })),
        }
    }

    /// What a failure to read it is counted as.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Files { .. } => "files",
            Self::Own(_) => "ca_secret",
        }
    }

    /// Reads it again, and does to the CAs what is due at `now`; after an error, what was read before stays.
    pub(super) async fn refresh(&mut self, now: i64, leads: bool) -> anyhow::Result<()> {
        match self {
            Self::Files { folder, read } => *read = Some(certificates::read_files(folder).await?),
            Self::Own(own) => {
                let occasion = Occasion { known: own.known.as_ref(), now, leads };
                let obtained = certificates::obtain_authorities(&own.client, &own.namespace, occasion);
                let obtained = timeout(TIMEOUT, obtained).await.context("the API server does not answer")?;
                own.known = Some(obtained?);
            }
        }
        Ok(())
    }

    /// What is to take the place of `newest`, if something is.
    pub(super) fn due(
        &mut self,
        newest: Option<(&Serving, &Bundle)>,
        now: i64,
    ) -> anyhow::Result<Option<Credentials>> {
        match self {
            Self::Files { read, .. } => Ok(read.take().filter(|read| {
                newest.is_none_or(|(serving, bundle)| {
                    serving.chain() != read.serving.chain() || *bundle != read.bundle
                })
            })),
            Self::Own(own) => own.due(newest.map(|(serving, _)| serving), now),
        }
    }

    /// Says so each time that it has changed.
    pub(super) fn changes(&self) -> BoxStream<'static, ()> {
        match self {
            Self::Files { folder, .. } => certificates::file_changes(folder.clone()).boxed(),
            Self::Own(own) => {
                let secrets: Api<PartialObjectMeta<Secret>> =
                    Api::namespaced(own.client.clone(), &own.namespace);
                changes::of(secrets, certificates::SECRET).boxed()
            }
        }
    }
}

impl Own {
    fn due(&mut self, newest: Option<&Serving>, now: i64) -> anyhow::Result<Option<Credentials>> {
        let is_due = newest.is_none_or(|newest| newest.validity().is_due(now));
        let Some(known) =
            self.known.as_ref().filter(|known| is_due || self.issued_by.as_ref() != Some(known))
        else {
            return Ok(None);
        };
        let serving = known.issue(certificates::serving_names(&self.namespace), now)?;
        let bundle = known.bundle();
        self.issued_by = Some(known.clone());
        Ok(Some(Credentials { serving, bundle }))
    }
}
