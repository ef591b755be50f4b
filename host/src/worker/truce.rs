//! Leases that expired while nothing went on are left alone for a while. When the broker was away, this process was
//! stopped, or the machine slept, the leases of the other workers have expired too, though they live: whoever is back
//! first leaves them the time to extend, or each of their attempts would be lost, and run twice.

use std::time::Duration;

use super::until::Moment;

/// How long a worker may take to be back, at least: to connect again, and to be heard.
const AT_LEAST: Duration = Duration::from_secs(3);

/// So many truces may follow each other: a broker that is always slow must still have its lost jobs back.
const IN_A_ROW: u32 = 5;

/// Whether expired leases may be taken over.
#[derive(Debug)]
pub struct Truce {
    /// So long may pass between two looks.
    usual: Duration,
    /// So long a truce lasts.
    length: Duration,
    looked: Moment,
    until: Option<Moment>,
    in_a_row: u32,
}

impl Truce {
    /// None yet. Of workers with leases of this length, which look at least so often.
    pub fn new(lease: Duration, at_least_every: Duration, now: Moment) -> Self {
        let (usual, length) = (at_least_every + lease / 2, (lease / 3).max(AT_LEAST));
        Self { usual, length, looked: now, until: None, in_a_row: 0 }
    }

    /// Whether there is one.
    pub fn holds(&self) -> bool {
        self.until.is_some()
    }

    /// A look at `now`: whether expired leases may be taken over.
    pub fn is_over(&mut self, now: Moment) -> bool {
        let stood_still = now.since(self.looked) > self.usual;
        self.looked = now;
        if stood_still && self.in_a_row < IN_A_ROW {
            self.in_a_row += 1;
            self.until = Some(now.after(self.length));
        } else if self.until.is_none_or(|until| until <= now) {
            (self.in_a_row, self.until) = (0, None);
        }
        !self.holds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_standstill_others_have_time_to_come_back() {
        let (second, start) = (Duration::from_secs(1), Moment::now());
        let mut truce = Truce::new(second * 30, second, start);
        let looks: Vec<_> = [1, 2, 17, 60, 61, 69, 70, 71].map(|at| truce.is_over(start.after(second * at))).into();
        assert_eq!(looks, [true, true, true, false, false, false, true, true]);
        let again: Vec<_> = [100, 120, 121, 131].map(|at| truce.is_over(start.after(second * at))).into();
        assert_eq!(again, [false, false, false, true], "another standstill in a truce is another truce");
    }

    #[test]
    fn where_everything_is_slow_some_looks_count() {
        let (second, start) = (Duration::from_secs(1), Moment::now());
        let mut truce = Truce::new(second * 3, second, start);
        let looks: Vec<_> = (1..=7).map(|round| truce.is_over(start.after(second * 20 * round))).collect();
        assert_eq!(looks, [false, false, false, false, false, true, false]);
    }
}
