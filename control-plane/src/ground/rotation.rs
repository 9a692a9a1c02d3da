//! When a certificate, or the CA behind it, is to be exchanged.

/// How long a CA is still trusted after its successor was made, in seconds: 7 days, and an hour because certificates
/// are dated an hour back.
///
/// A sidecar keeps the CA that its pod was created with; it reports within half an hour of its pod's start, or of an
/// image that could not be pulled for days.
const OVERLAP: i64 = (7 * 24 + 1) * 3_600;

/// When a certificate is valid, in seconds since 1970, by the wall clock: a clock that stood still while the machine
/// was suspended would miss the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second
    pub from: i64,
    /// The last second
    pub until: i64,
}

/// A CA, and the one before it while both are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generations {
    /// The CA that signs
    pub current: Validity,
    /// The CA that signed before
    pub previous: Option<Validity>,
}

/// What is to be done with a CA now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// It is of no use any more: another takes its place at once.
    Replace,
    /// A successor is to sign from now on, beside which it stays trusted.
    Rotate,
    /// The one before it has been trusted for long enough.
    DropPrevious,
}

impl Validity {
    /// Whether, at `now`, two thirds of it are over.
    #[must_use]
    pub fn is_due(self, now: i64) -> bool {
        now >= self.from + (self.until - self.from) / 3 * 2
    }

    /// Whether all of it is over at `now`.
    #[must_use]
    pub fn is_over(self, now: i64) -> bool {
        now > self.until
    }
}

impl Generations {
    /// What is to be done at `now`, by a replica that `leads` or not: what cannot wait is anybody's to do.
    #[must_use]
    pub fn step(self, now: i64, leads: bool) -> Step {
        let is_overlap_over =
            |previous: Validity| previous.is_over(now) || now >= self.current.from + OVERLAP;
        match self.previous {
            _ if self.current.is_over(now) => Step::Replace,
            _ if !leads => Step::Keep,
            _ if self.current.is_due(now) => Step::Rotate,
            Some(previous) if is_overlap_over(previous) => Step::DropPrevious,
            _ => Step::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    /// 3,000 days, due after 2,000.
    const CURRENT: Validity = Validity { from: 0, until: 3_000 * DAY };

    fn step(previous_until: Option<i64>, day: i64, leads: bool) -> Step {
        let previous = previous_until.map(|until| Validity { from: -2_000 * DAY, until: until * DAY });
        Generations { current: CURRENT, previous }.step(day * DAY, leads)
    }

    #[test]
    fn a_ca_is_rotated_by_the_leader_at_two_thirds_of_its_life() {
        assert_eq!(step(None, 1_999, true), Step::Keep);
        assert_eq!(step(None, 2_000, true), Step::Rotate);
        assert_eq!(step(None, 2_000, false), Step::Keep);
        assert_eq!(step(Some(4_000), 2_000, true), Step::Rotate);
    }

    #[test]
    fn a_ca_that_has_expired_is_replaced_by_whoever_sees_it() {
        for leads in [true, false] {
            assert_eq!(step(None, 3_000, leads), if leads { Step::Rotate } else { Step::Keep });
            assert_eq!(step(None, 3_001, leads), Step::Replace);
        }
    }

    #[test]
    fn the_previous_ca_is_dropped_after_seven_days_or_with_its_own_end() {
        assert_eq!(step(Some(1_000), 7, true), Step::Keep);
        assert_eq!(step(Some(1_000), 8, true), Step::DropPrevious);
        assert_eq!(step(Some(1_000), 8, false), Step::Keep);
        assert_eq!(step(Some(1), 2, true), Step::DropPrevious);
        assert_eq!(step(Some(1), 1, true), Step::Keep);
    }

    #[test]
    fn validity_is_measured_by_the_clock_that_it_is_asked_with() {
        let validity = Validity { from: 100, until: 400 };
        assert!(!validity.is_due(299) && validity.is_due(300));
        assert!(!validity.is_over(400) && validity.is_over(401));
    }
}
