//! Patience with a broker that does not answer: ever longer pauses with full jitter, one line when it begins, one a
//! minute while it lasts, one when it is over. And [`spread`], for what is done again and again.

use std::fmt::Display;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt as _};

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Patience with a broker that does not answer.
#[derive(Debug)]
pub struct Backoff {
    longest: Duration,
    failures: u32,
    said: Option<Instant>,
}

impl Default for Backoff {
    /// Pauses of at most 5 s.
    fn default() -> Self {
        Self::at_most(LONGEST)
    }
}

impl Backoff {
    /// Pauses of at most so long, and never more than 5 s.
    pub fn at_most(longest: Duration) -> Self {
        Self { longest: longest.min(LONGEST), failures: 0, said: None }
    }

    /// Notes a failure, says so where that is news, and answers how long to wait. Jitter keeps a fleet from coming back
    /// all at once.
    pub fn pause(&mut self, what: &str, error: &dyn Display) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            self.said = Some(Instant::now());
            tracing::error!("{what}: {error}; trying again until it works");
        }
        jittered(self.failures, self.longest, &mut rand::rng())
    }

    /// Notes that it works; says so if that is news.
    pub fn over(&mut self, news: &str) {
        if self.said.is_some() {
            tracing::info!("{news}");
        }
        *self = Self::at_most(self.longest);
    }
}

/// The pause after so many failures in a row: a random one, up to a ceiling that doubles with each.
fn jittered(failures: u32, longest: Duration, rng: &mut impl Rng) -> Duration {
    let ceiling = SHORTEST.saturating_mul(1 << failures.min(10)).min(longest);
    SHORTEST + ceiling.saturating_sub(SHORTEST).mul_f64(rng.random::<f64>())
}

/// A little less than `every`, by chance: workers that a stalled broker has brought into step fall out of it again.
pub fn spread(every: Duration) -> Duration {
    every.mul_f64(1.0 - rand::rng().random::<f64>() / 5.0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    /// A thousand workers that saw the same outage at the same instant: how many come back in each tenth of the time that
    /// this failure may have them wait.
    fn crowd(failures: u32, longest: Duration) -> [usize; 10] {
        let mut tenths = [0; 10];
        let ceiling = SHORTEST.saturating_mul(1 << failures).min(longest);
        for seed in 0..1_000 {
            let pause = jittered(failures, longest, &mut StdRng::seed_from_u64(seed));
            assert!((SHORTEST..=ceiling).contains(&pause), "{pause:?}");
            tenths[((pause - SHORTEST).div_duration_f64(ceiling - SHORTEST) * 9.999) as usize] += 1;
        }
        tenths
    }

    #[test]
    fn workers_that_saw_the_same_outage_come_back_one_by_one() {
        for failures in 1..10 {
            for longest in [LONGEST, Duration::from_millis(300)] {
                let tenths = crowd(failures, longest);
                assert!(tenths.iter().all(|count| (50..200).contains(count)), "{failures}: {tenths:?}");
            }
        }
    }

    #[test]
    fn pauses_grow_up_to_their_limit_and_begin_anew_when_it_is_over() {
        let mut trouble = Backoff::at_most(Duration::from_millis(300));
        let longest = |trouble: &mut Backoff| (0..50).map(|_| trouble.pause("test", &"gone")).max().unwrap();
        let most = longest(&mut trouble);
        assert!((200..=300).contains(&most.as_millis()), "{most:?}");
        trouble.over("again");
        assert!(trouble.pause("test", &"gone") <= SHORTEST * 2);
    }

    #[test]
    fn what_is_done_again_and_again_is_never_done_too_late() {
        let every = Duration::from_secs(10);
        let times: Vec<_> = (0..100).map(|_| spread(every)).collect();
        assert!(times.iter().all(|time| (every * 4 / 5..=every).contains(time)), "{times:?}");
        assert!(times.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
