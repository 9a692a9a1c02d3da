//! The sum of bytes that bodies take at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Usual reviews have 5–20 KB; giant ones cannot take what is kept for these, nor make them wait behind more than four.
const USUAL: usize = 64 << 10;
const FOR_USUAL: usize = 16 << 20;
const FOR_GIANT: usize = 12 << 20;

/// Bytes that may be taken: of each body the first 64 KiB from one share, the rest from the other.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    usual: Arc<Semaphore>,
    giant: Arc<Semaphore>,
}

/// Bytes that are taken; given back when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Claim {
    usual: Option<OwnedSemaphorePermit>,
    giant: Option<OwnedSemaphorePermit>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { usual: Arc::new(Semaphore::new(FOR_USUAL)), giant: Arc::new(Semaphore::new(FOR_GIANT)) }
    }
}

impl Budget {
    /// Takes `by` bytes more for a body that has `from`; `None` where they are not there.
    pub(super) fn grow(&self, claim: &mut Claim, from: usize, by: usize) -> Option<()> {
        let usual = (from + by).min(USUAL) - from.min(USUAL);
        take(&self.usual, &mut claim.usual, usual)?;
        take(&self.giant, &mut claim.giant, by - usual)
    }
}

fn take(share: &Arc<Semaphore>, taken: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Option<()> {
    let more = Arc::clone(share).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()?;
    match taken {
        Some(taken) => taken.merge(more),
        None => *taken = Some(more),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_gives_back_all_that_it_took_piece_by_piece() {
        let (budget, mut claim) = (Budget::default(), Claim::default());
        let mut length = 0;
        for piece in [0, 1, USUAL - 2, 2, 5, 1 << 20] {
            budget.grow(&mut claim, length, piece).unwrap();
            length += piece;
        }
        assert_eq!(budget.usual.available_permits(), FOR_USUAL - USUAL);
        assert_eq!(budget.giant.available_permits(), FOR_GIANT - (length - USUAL));
        drop(claim);
        assert_eq!(
            budget.usual.available_permits() + budget.giant.available_permits(),
            FOR_USUAL + FOR_GIANT
        );
    }
}
