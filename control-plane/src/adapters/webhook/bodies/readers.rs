//! Bodies that are being read; where they are too many, the one that has taken longest is given up.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// An API server sends a body in one go, so an unfinished one that is older than all these is not its.
const MOST: usize = 1_024;

/// All bodies that are being read.
#[derive(Debug, Clone, Default)]
pub(super) struct Readers(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    reading: BTreeMap<u64, CancellationToken>,
}

/// One body; it is no longer being read when this is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    readers: Readers,
    id: u64,
    given_up: CancellationToken,
}

impl Readers {
    /// Begins to read a body.
    pub(super) fn enter(&self) -> Reader {
        let mut queue = self.lock();
        if queue.reading.len() >= MOST
            && let Some((_, oldest)) = queue.reading.pop_first()
        {
            oldest.cancel();
        }
        let (id, given_up) = (queue.next, CancellationToken::new());
        queue.next += 1;
        queue.reading.insert(id, given_up.clone());
        Reader { readers: self.clone(), id, given_up }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Waits until this body is given up for others.
    pub(super) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.lock().reading.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_body_gives_way_to_one_too_many() {
        let readers = Readers::default();
        let mut reading: Vec<_> = (0..MOST).map(|_| readers.enter()).collect();
        drop(reading.remove(0));
        reading.push(readers.enter());
        assert!(reading.iter().all(|reader| !reader.given_up.is_cancelled()));
        reading.push(readers.enter());
        let given_up: Vec<_> = reading.iter().map(|reader| reader.given_up.is_cancelled()).collect();
        assert!(given_up[0] && given_up[1..].iter().all(|given_up| !given_up));
        drop(reading);
        assert!(readers.lock().reading.is_empty());
    }
}
