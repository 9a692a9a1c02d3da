//! Who leads: what a replica makes of the Lease that all replicas see.
//!
//! As in client-go, no replica compares another's clock with its own: a Lease is free once it has not changed for its
//! duration while this replica watched it.

use std::time::{Duration, Instant};

/// A Lease that was not renewed for this long is free.
pub const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long leads no more, well before others may.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two tries.
pub const RETRY: Duration = Duration::from_secs(2);
/// However long a stored Lease claims to hold.
const LONGEST: Duration = Duration::from_mins(1);

/// The Lease as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// `holderIdentity`; `None` where it was released
    pub holder: Option<Box<str>>,
    /// `metadata.resourceVersion`
    pub version: Box<str>,
    /// `leaseDurationSeconds`
    pub duration: Duration,
}

/// What a replica does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Make the Lease, as its holder.
    Create,
    /// Write itself in as the holder.
    Take,
    /// Renew what it holds.
    Renew,
    /// Leave it to who holds it.
    Wait,
}

/// A replica that leads or would.
#[derive(Debug)]
pub struct Candidate {
    name: Box<str>,
    /// The version that it saw last, and since when.
    seen: Option<(Box<str>, Instant)>,
    renewed: Option<Instant>,
}

impl Candidate {
    /// A replica that leads nobody yet; `name` is its own alone.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), seen: None, renewed: None }
    }

    /// What to do about the Lease that was `found` at `now`.
    pub fn next(&mut self, found: Option<&Held>, now: Instant) -> Move {
        let Some(held) = found else { return Move::Create };
        if held.holder.as_ref() == Some(&self.name) {
            return Move::Renew;
        }
        self.renewed = None;
        let since = match &self.seen {
            Some((version, since)) if *version == held.version => *since,
            _ => self.seen.insert((held.version.clone(), now)).1,
        };
        let is_free = held.holder.is_none() || now >= since + held.duration.min(LONGEST);
        if is_free { Move::Take } else { Move::Wait }
    }

    /// Notes that the Lease was created, taken or renewed by a request that was sent at `sent`.
    pub fn holds(&mut self, sent: Instant) {
        self.renewed = Some(sent);
    }

    /// Whether this replica leads at `now`.
    #[must_use]
    pub fn leads(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|renewed| now < renewed + RENEW_DEADLINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holder: &str, version: &str) -> Held {
        let holder = Some(holder).filter(|holder| !holder.is_empty()).map(Into::into);
        Held { holder, version: version.into(), duration: DURATION }
    }

    #[test]
    fn a_lease_that_is_not_there_or_was_released_is_free_at_once() {
        let now = Instant::now();
        assert_eq!(Candidate::new("a").next(None, now), Move::Create);
        assert_eq!(Candidate::new("a").next(Some(&held("", "1")), now), Move::Take);
    }

    #[test]
    fn a_lease_is_free_when_it_has_not_changed_for_its_duration() {
        let (start, mut waiting) = (Instant::now(), Candidate::new("b"));
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(waiting.next(Some(&held("a", "1")), at(0)), Move::Wait);
        assert_eq!(waiting.next(Some(&held("a", "2")), at(14)), Move::Wait, "renewed");
        assert_eq!(waiting.next(Some(&held("a", "2")), at(28)), Move::Wait);
        assert_eq!(waiting.next(Some(&held("a", "2")), at(29)), Move::Take);
    }

    #[test]
    fn a_lease_that_claims_to_hold_for_ever_does_not() {
        let (start, mut waiting) = (Instant::now(), Candidate::new("b"));
        let eternal = Held { duration: Duration::MAX, ..held("a", "1") };
        assert_eq!(waiting.next(Some(&eternal), start), Move::Wait);
        assert_eq!(waiting.next(Some(&eternal), start + LONGEST), Move::Take);
    }

    #[test]
    fn a_leader_that_cannot_renew_gives_up_before_others_take_over() {
        let (start, mut leader) = (Instant::now(), Candidate::new("a"));
        assert!(!leader.leads(start));
        assert_eq!(leader.next(Some(&held("a", "1")), start), Move::Renew);
        leader.holds(start);
        assert!(leader.leads(start + Duration::from_secs(9)));
        assert!(!leader.leads(start + RENEW_DEADLINE));
        assert!(RENEW_DEADLINE + RETRY < DURATION);
    }

    #[test]
    fn a_leader_whose_lease_was_taken_leads_no_more() {
        let (start, mut leader) = (Instant::now(), Candidate::new("a"));
        leader.holds(start);
        assert_eq!(leader.next(Some(&held("b", "2")), start), Move::Wait);
        assert!(!leader.leads(start));
    }
}
