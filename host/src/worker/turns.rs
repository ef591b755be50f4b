//! Whose turn it is: in which order the next lease asks its queues. Pure: it only sees what was leased.
//!
//! Stride scheduling. Every queue has a pass, which grows by one stride for each of its jobs that was leased; a stride
//! is the shorter the heavier the queue. The queue with the smallest pass is asked first. So with all queues full the
//! shares of leased jobs approach the weights, and a queue that was passed over is sooner or later the first.

use std::fmt;
use std::str::FromStr;

use afresh_protocol::policy::check_name;
use serde::{Deserialize, Deserializer, de};

/// The stride of a queue of weight 1. With it a pass has room for 10¹³ jobs, and rounding costs less than a thousandth.
const STRIDE: u64 = 1 << 20;

/// The heaviest a queue may be.
const HEAVIEST: u32 = 1_000;

/// A queue to serve, as it is written: `mail`, or `mail=3` with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its name.
    pub name: String,
    /// How large its share is beside the others', from 1 to 1000; 1 where nobody says.
    pub weight: Option<u32>,
}

impl FromStr for Served {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, weight) = text.split_once('=').map_or((text, None), |(name, weight)| (name, Some(weight)));
        check_name(name)?;
        let weight = weight.map(|weight| match weight.parse() {
            Ok(number @ 1..=HEAVIEST) => Ok(number),
            _ => Err(format!(
                "`{}` is not a weight for the queue {name}: write a whole number from 1 to {HEAVIEST}",
                weight.escape_debug()
            )),
        });
        Ok(Self { name: name.to_owned(), weight: weight.transpose()? })
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weight {
            Some(weight) => write!(f, "{}={weight}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl<'de> Deserialize<'de> for Served {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Checks what no queue says by itself: that none is named twice, and that weights are not mixed with a strict order.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn check(queues: &[Served], strict: bool) -> Result<(), String> {
    if queues.is_empty() {
        return Err("no queue is named: name at least one".to_owned());
    }
    for (place, queue) in queues.iter().enumerate() {
        if queues[..place].iter().any(|other| other.name == queue.name) {
            return Err(format!("the queue {} is named twice: name it once", queue.name));
        }
        if strict && queue.weight.is_some() {
            return Err(format!("a strict order has no weights: leave the weight of {queue} out, or leave strict out"));
        }
    }
    Ok(())
}

/// Whose turn it is among the queues of a worker.
#[derive(Clone, Debug)]
pub struct Turns {
    queues: Vec<Turn>,
    strict: bool,
}

#[derive(Clone, Debug)]
struct Turn {
    name: String,
    stride: u64,
    pass: u64,
    /// Whether it was empty when it was asked last.
    idle: bool,
}

impl Turns {
    /// Nobody has had a turn yet. A strict order is always that of `queues`.
    pub fn new(queues: &[Served], strict: bool) -> Self {
        let turn = |queue: &Served| Turn {
            name: queue.name.clone(),
            stride: STRIDE / u64::from(queue.weight.unwrap_or(1).clamp(1, HEAVIEST)),
            pass: 0,
            idle: false,
        };
        Self { queues: queues.iter().map(turn).collect(), strict }
    }

    /// The queues as the next lease is to ask them.
    pub fn order(&self) -> Vec<String> {
        self.places().into_iter().map(|place| self.queues[place].name.clone()).collect()
    }

    /// A lease in this order brought these jobs, each named by its queue.
    pub fn took<'a>(&mut self, jobs: impl IntoIterator<Item = &'a str>) {
        if self.strict {
            return;
        }
        let mut counts = vec![0_u64; self.queues.len()];
        for queue in jobs {
            if let Some(place) = self.queues.iter().position(|turn| turn.name == queue) {
                counts[place] += 1;
            }
        }
        let order = self.places();
        let Some(last) = order.iter().rposition(|&place| counts[place] > 0) else {
            // All are empty, so nobody is owed anything.
            self.queues.iter_mut().for_each(|turn| (turn.pass, turn.idle) = (0, false));
            return;
        };
        let floor = self.queues.iter().filter(|turn| !turn.idle).map(|turn| turn.pass).min();
        for (rank, place) in order.into_iter().enumerate() {
            let turn = &mut self.queues[place];
            if turn.idle && counts[place] > 0 {
                // Back again: while it had no jobs it saved up no credit.
                turn.pass = turn.pass.max(floor.unwrap_or(0));
            }
            turn.pass = turn.pass.saturating_add(counts[place].saturating_mul(turn.stride));
            // A queue is only asked once those before it are empty. Of the last that gave something nobody knows, nor of
            // those behind it.
            turn.idle = rank < last || (turn.idle && counts[place] == 0);
        }
    }

    /// The places of the queues, the smallest pass first; of equals, the one that is named first.
    fn places(&self) -> Vec<usize> {
        let mut places: Vec<_> = (0..self.queues.len()).collect();
        if !self.strict {
            places.sort_by_key(|&place| self.queues[place].pass);
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn queues(text: &str) -> Vec<Served> {
        text.split(',').map(|queue| queue.parse().unwrap()).collect()
    }

    /// A broker with so many jobs in each queue.
    struct Jobs(BTreeMap<&'static str, usize>);

    impl Jobs {
        /// Leases up to `room` jobs in the order of the turns; answers the queues they are of.
        fn lease(&mut self, turns: &mut Turns, room: usize) -> Vec<String> {
            let mut jobs = Vec::new();
            for queue in turns.order() {
                let left = self.0.entry(queue.clone().leak()).or_default();
                let count = (*left).min(room - jobs.len());
                *left -= count;
                jobs.extend(std::iter::repeat_n(queue, count));
            }
            turns.took(jobs.iter().map(String::as_str));
            jobs
        }
    }

    fn full(names: &[&'static str]) -> Jobs {
        Jobs(names.iter().map(|&name| (name, 1_000_000)).collect())
    }

    fn share(jobs: &[String], queue: &str) -> usize {
        jobs.iter().filter(|job| *job == queue).count()
    }

    #[test]
    fn with_full_queues_the_shares_approach_the_weights_whatever_the_room() {
        for (text, weights) in [("a=3,b=1", vec![3, 1]), ("a,b,c", vec![1, 1, 1]), ("a=1000,b=7,c", vec![1000, 7, 1])] {
            for room in [1, 2, 7, 64] {
                let (mut turns, mut jobs) = (Turns::new(&queues(text), false), full(&["a", "b", "c"]));
                let rounds = 200 * weights.iter().sum::<usize>() / room;
                let taken: Vec<_> = (0..rounds).flat_map(|_| jobs.lease(&mut turns, room)).collect();
                for (queue, weight) in ["a", "b", "c"].iter().zip(&weights) {
                    let (share, fair) = (share(&taken, queue), 200 * weight);
                    assert!(share.abs_diff(fair) <= 2 * room + fair / 500, "{text} room {room}: {queue} has {share}");
                }
            }
        }
    }

    #[test]
    fn one_job_at_a_time_three_to_one_is_so_in_every_four() {
        let (mut turns, mut jobs) = (Turns::new(&queues("a=3,b=1"), false), full(&["a", "b"]));
        let taken: Vec<_> = (0..40).flat_map(|_| jobs.lease(&mut turns, 1)).collect();
        assert!(taken.chunks(4).all(|four| share(four, "a") == 3), "{taken:?}");
    }

    #[test]
    fn a_queue_that_comes_back_gets_its_share_and_nothing_for_its_absence() {
        let (mut turns, mut jobs) = (Turns::new(&queues("busy,away"), false), full(&["busy"]));
        (0..1_000).for_each(|_| drop(jobs.lease(&mut turns, 1)));
        jobs.0.insert("away", 1_000);
        let taken: Vec<_> = (0..20).flat_map(|_| jobs.lease(&mut turns, 1)).collect();
        assert_eq!((taken[0].as_str(), share(&taken, "away")), ("away", 10), "{taken:?}");
    }

    #[test]
    fn after_all_were_empty_nobody_is_owed_anything() {
        let (mut turns, mut jobs) = (Turns::new(&queues("busy,away"), false), Jobs([("busy", 500)].into()));
        while !jobs.lease(&mut turns, 10).is_empty() {}
        jobs.0 = [("busy", 500), ("away", 500)].into();
        let taken: Vec<_> = (0..40).flat_map(|_| jobs.lease(&mut turns, 1)).collect();
        assert_eq!(share(&taken, "away"), 20, "{taken:?}");
    }

    #[test]
    fn a_queue_with_a_trickle_of_jobs_does_not_wait_behind_a_full_one() {
        let (mut turns, mut jobs) = (Turns::new(&queues("full=1000,trickle"), false), full(&["full"]));
        for round in 0..100 {
            jobs.0.insert("trickle", 1);
            let waited = (0..2_000).find(|_| share(&jobs.lease(&mut turns, 1), "trickle") == 1);
            assert!(waited.is_some_and(|leases| leases <= 1_001), "round {round}: {waited:?}");
        }
    }

    #[test]
    fn a_strict_order_stays_as_it_is_written() {
        let (mut turns, mut jobs) = (Turns::new(&queues("a,b"), true), Jobs([("a", 5), ("b", 5)].into()));
        let taken: Vec<_> = (0..4).flat_map(|_| jobs.lease(&mut turns, 3)).collect();
        assert_eq!(taken, [["a"; 5], ["b"; 5]].concat());
        assert_eq!(turns.order(), ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_sentence() {
        for (text, reason) in [
            ("a=0", "`0` is not a weight for the queue a: write a whole number from 1 to 1000"),
            ("a=-1", "`-1` is not a weight"),
            ("a=1.5", "`1.5` is not a weight"),
            ("a=", "`` is not a weight"),
            ("a=1001", "`1001` is not a weight"),
            ("a=b=1", "`b=1` is not a weight"),
            ("=1", "`` is not a name"),
            ("a/b=1", "`a/b` is not a name"),
        ] {
            let error = text.parse::<Served>().unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
        }
        for (text, strict, reason) in [
            ("a,b,a", false, "the queue a is named twice"),
            ("a=1,a=2", false, "the queue a is named twice"),
            ("a=1,b", true, "leave the weight of a=1 out"),
        ] {
            let error = check(&queues(text), strict).unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
        }
        assert!(check(&[], false).is_err());
        assert_eq!(check(&queues("a=3,b"), false), Ok(()));
        assert_eq!(check(&queues("a,b"), true), Ok(()));
        assert_eq!(queues("a=3,b").iter().map(ToString::to_string).collect::<Vec<_>>(), ["a=3", "b"]);
    }
}
