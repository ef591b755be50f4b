//! Fencing tokens. Whoever leases brings them: a store that counted them would give some of them again after it lost its
//! last second in a crash, or was restored from a copy.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt as _;

/// Where tokens may start: the lower half of what a script of Redis can count, whose numbers are doubles, so that counting
/// up never comes to its end.
const STARTS: u64 = 1 << 52;

/// The tokens of one broker: counted up from a random number, so that no two leases of a job ever have the same, whoever
/// gave them.
#[derive(Debug)]
pub(crate) struct Tokens(AtomicU64);

impl Tokens {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(rand::rng().random_range(1..STARTS)))
    }

    /// Takes so many in a row; answers the first.
    pub(crate) fn take(&self, count: usize) -> u64 {
        self.0.fetch_add(count as u64, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_token_is_given_twice_whoever_gives_it() {
        let brokers: Vec<_> = (0..100).map(|_| Tokens::new()).collect();
        let mut seen = HashSet::new();
        for count in [1, 500, 7] {
            for tokens in &brokers {
                let first = tokens.take(count);
                assert!((first..first + count as u64).all(|token| seen.insert(token)));
            }
        }
        assert!(seen.iter().all(|&token| token < 1 << 53), "a double holds it exactly");
    }
}
