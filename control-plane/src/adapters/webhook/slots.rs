//! How many reviews are decided at once, as an operator says it.

use std::{num::NonZero, thread};

/// More than this is a typing error: deciding takes a core.
const MOST: usize = 1_024;

/// A count, or `-1` for all cores but one, which stays free for connections and bodies.
pub(super) fn parse(text: &str) -> Result<usize, String> {
    if text == "-1" {
        return Ok(from_cores(thread::available_parallelism().map_or(1, NonZero::get)));
    }
    let count = text.parse().ok().filter(|count| (1..=MOST).contains(count));
    count.ok_or_else(|| format!("use a whole number from 1 to {MOST}, or -1 to take it from the cores"))
}

fn from_cores(cores: usize) -> usize {
    cores.saturating_sub(1).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_whole_number_or_comes_from_the_cores() {
        assert_eq!((parse("1"), parse("1024")), (Ok(1), Ok(1_024)));
        assert!(parse("-1").is_ok_and(|count| count >= 1));
        for nonsense in ["0", "-2", "1025", "many", "1.5", ""] {
            let advice = parse(nonsense).unwrap_err();
            assert_eq!(advice, "use a whole number from 1 to 1024, or -1 to take it from the cores");
        }
        assert_eq!([1, 2, 64].map(from_cores), [1, 1, 63]);
    }
}
