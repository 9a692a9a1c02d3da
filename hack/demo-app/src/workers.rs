//! The threads that answer for the shop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::route::Route;
use crate::shop::Shop;

/// Requests that wait for one worker at most; more are refused.
const QUEUE: usize = 1_024;

/// Threads that each own a [`Shop`].
///
/// Each kind of page goes round the workers by itself, so that any mix of w requests per kind reaches every cache of
/// w workers. (One turn for all kinds would send every second of two paths to the same worker for ever.)
pub(crate) struct Workers {
    queues: Vec<SyncSender<Job>>,
    turns: [AtomicUsize; Route::KINDS],
}

struct Job {
    route: Route,
    reply: oneshot::Sender<Option<Bytes>>,
}

/// The worker's queue is full, or its thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("no worker can take the request")]
pub(crate) struct Refused;

impl Workers {
    /// Starts `count` threads, all cold, which live as long as the process.
    pub(crate) fn start(count: usize, source: &Arc<str>) -> io::Result<Self> {
        let queues = (0..count).map(|number| start(number, Arc::clone(source))).collect::<Result<_, _>>()?;
        // The kinds start at different workers, so that all are busy from the first requests on.
        Ok(Self { queues, turns: std::array::from_fn(AtomicUsize::new) })
    }

    /// The page from the worker whose turn it is, `None` if the shop has no such page.
    pub(crate) async fn page(&self, route: Route) -> Result<Option<Bytes>, Refused> {
        let turn = self.turns[route.kind()].fetch_add(1, Ordering::Relaxed);
        let (reply, page) = oneshot::channel();
        self.queues[turn % self.queues.len()].try_send(Job { route, reply }).map_err(|_| Refused)?;
        page.await.map_err(|_| Refused)
    }
}

fn start(number: usize, source: Arc<str>) -> io::Result<SyncSender<Job>> {
    let (sender, jobs) = sync_channel(QUEUE);
    thread::Builder::new().name(format!("worker-{number}")).spawn(move || work(&Shop::new(source), &jobs))?;
    Ok(sender)
}

fn work(shop: &Shop, jobs: &Receiver<Job>) {
    for Job { route, reply } in jobs {
        // A visitor who is gone is no reason to stop.
        let _ = reply.send(shop.page(&route));
    }
}
