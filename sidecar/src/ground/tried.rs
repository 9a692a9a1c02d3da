//! What was tried to reach an app that does not answer.

use std::{cell::RefCell, collections::BTreeMap, fmt, net::SocketAddr};

use super::outcome::Outcome;

/// The last outcome at each address.
#[derive(Debug, Default)]
pub struct Tried {
    outcomes: RefCell<BTreeMap<SocketAddr, Outcome>>,
}

impl Tried {
    /// Notes what came of the last try at `address`.
    pub fn note(&self, address: SocketAddr, outcome: Outcome) {
        self.outcomes.borrow_mut().insert(address, outcome);
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, outcome)) in self.outcomes.borrow().iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{address} {outcome}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::outcome::Failure;

    #[test]
    fn the_last_outcome_at_each_address_is_named() {
        let tried = Tried::default();
        tried.note("10.0.0.7:80".parse().unwrap(), Outcome::Failed(Failure::Refused));
        tried.note("127.0.0.1:80".parse().unwrap(), Outcome::Failed(Failure::Refused));
        tried.note("10.0.0.7:80".parse().unwrap(), Outcome::Status(503));
        assert_eq!(tried.to_string(), "10.0.0.7:80 503, 127.0.0.1:80 connection refused");
    }
}
