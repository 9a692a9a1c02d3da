//! Users who arrive whether or not the shop keeps up (open loop).

mod arrival;
mod connections;
mod origin;
mod outcome;
mod page_path;
mod rate;
mod summary;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

pub use origin::Origin;
pub use outcome::{Outcome, Visit};
pub use page_path::PagePath;
pub use rate::Rate;
pub use summary::{Quantiles, Summary};

use connections::Connections;

/// The users' flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shop, as http://host:port
    #[arg(long)]
    pub url: Origin,
    /// Paths to visit in turn, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "/")]
    pub paths: Vec<PagePath>,
    /// Requests per second
    #[arg(long, default_value = "50")]
    pub rate: Rate,
    /// How long users arrive
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// How long to wait until the shop accepts its first connection
    #[arg(long, default_value = "300s", value_parser = humantime::parse_duration)]
    pub start_timeout: Duration,
    /// How long a user waits for a page before giving up
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Name of the run in the summary
    #[arg(long, default_value = "users")]
    pub label: String,
    /// Tell in the JSON also when each user came and how long they waited
    #[arg(long)]
    pub each: bool,
}

/// Why there are no visits to speak of.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The shop never opened.
    #[error("{origin} accepted no connection within {}", humantime::format_duration(*.waited))]
    NeverOpened {
        /// The shop.
        origin: Origin,
        /// `--start-timeout`.
        waited: Duration,
        /// What the last attempt met.
        source: std::io::Error,
    },
}

impl Args {
    /// Waits until the shop accepts a connection, then sends request i at i / rate, the first at once.
    pub async fn visit(&self) -> Result<Summary, UsersError> {
        let stream = arrival::first_connection(&self.url, self.start_timeout).await.map_err(|source| {
            UsersError::NeverOpened { origin: self.url.clone(), waited: self.start_timeout, source }
        })?;
        let (started_at, start) = (SystemTime::now(), Instant::now());
        let connections = Arc::new(Connections::new(&self.url, stream).await);
        let mut users = JoinSet::new();
        for (offset, path) in self.rate.schedule(self.duration).zip(self.paths.iter().cycle()) {
            sleep_until(start + offset).await;
            let user = User { start, offset, deadline: start + offset + self.timeout };
            users.spawn(user.visit(Arc::clone(&connections), path.clone()));
        }
        let summary = Summary::of(&self.label, started_at, users.join_all().await);
        Ok(if self.each { summary } else { Summary { each: None, ..summary } })
    }
}

/// One request, scheduled `offset` after `start`.
struct User {
    start: Instant,
    offset: Duration,
    deadline: Instant,
}

impl User {
    async fn visit(self, connections: Arc<Connections>, path: PagePath) -> Visit {
        let scheduled = self.start + self.offset;
        let late = scheduled.elapsed();
        let answer = timeout_at(self.deadline, connections.get(&path)).await;
        let latency = scheduled.elapsed();
        let outcome = match answer {
            Ok(Ok(status)) if status.is_success() || status.is_redirection() => Outcome::Served(latency),
            Ok(_) => Outcome::Failed,
            Err(_) => Outcome::GaveUp(latency),
        };
        Visit { scheduled: self.offset, late, outcome }
    }
}
