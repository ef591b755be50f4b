//! What must be so of any policy, whatever befalls a job.

use afresh_protocol::ErrorRecord;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

fn outcome(kind: OutcomeKind, wait: Option<Duration>) -> Outcome {
    let error = ErrorRecord::new(kind.as_str(), "why");
    match kind {
        OutcomeKind::Succeeded => Outcome::Succeeded(b"reply".to_vec()),
        OutcomeKind::Failed => Outcome::Failed { error, retry_after: wait },
        OutcomeKind::Rejected => Outcome::Rejected(error),
        OutcomeKind::Snoozed => Outcome::Snoozed(wait.unwrap_or_default()),
        OutcomeKind::Panicked => Outcome::Panicked(error),
        OutcomeKind::Trapped => Outcome::Trapped(error),
        OutcomeKind::OutOfMemory => Outcome::OutOfMemory(error),
        OutcomeKind::OutOfFuel => Outcome::OutOfFuel(error),
        OutcomeKind::TimedOut => Outcome::TimedOut(error),
        OutcomeKind::OverLimit => Outcome::OverLimit(error),
        OutcomeKind::BadModule => Outcome::BadModule(error),
        OutcomeKind::Cancelled => Outcome::Cancelled,
        OutcomeKind::Interrupted => Outcome::Interrupted,
        OutcomeKind::Lost => Outcome::Lost(error),
    }
}

fn kinds() -> impl Strategy<Value = OutcomeKind> {
    prop::sample::select(OutcomeKind::ALL.to_vec())
}

/// From nothing to far more than anybody means.
fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0), Just(1), 0..10_000_u64, any::<u64>()].prop_map(Duration::from_millis)
}

fn policies() -> impl Strategy<Value = RetryPolicy> {
    (1..40_u32, spans(), spans(), prop_oneof![Just(1.0), Just(2.0), 0.0..1e9_f64], 0..20_u32).prop_map(
        |(max_attempts, min_backoff, max_backoff, factor, max_waits)| RetryPolicy {
            max_attempts,
            min_backoff,
            max_backoff,
            factor,
            max_waits,
            ..RetryPolicy::default()
        },
    )
}

proptest! {
    #[test]
    fn a_job_ends_and_never_starts_more_often_than_it_may(
        policy in policies(), kinds in prop::collection::vec(kinds(), 200), seed: u64,
    ) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut counters = Counters::default();
        let (mut counted, mut waits) = (0, 0);
        for kind in kinds {
            // As a lease does it.
            counters.starts += 1;
            let (settlement, after) = policy.decide(outcome(kind, None), counters, &mut random);
            if is_failure(kind) || matches!(kind, OutcomeKind::Succeeded | OutcomeKind::Cancelled) {
                counted += 1;
            } else if kind != OutcomeKind::Interrupted {
                waits += 1;
            }
            prop_assert!(counted <= policy.max_attempts && waits <= policy.max_waits + 1);
            prop_assert_eq!((after.starts, after.waits), (counted, waits));
            match settlement {
                Settlement::Retry { .. } | Settlement::Release => counters = after,
                Settlement::Complete { .. } | Settlement::Bury | Settlement::Cancel => return Ok(()),
            }
            prop_assert!(counted < policy.max_attempts && waits <= policy.max_waits);
        }
    }

    #[test]
    fn a_wait_stays_within_its_bounds(
        policy in policies(), failures in prop_oneof![0..100_u32, 0..u32::MAX], asked in prop::option::of(spans()), seed: u64,
    ) {
        let mut random = StdRng::seed_from_u64(seed);
        let policy = RetryPolicy { max_attempts: u32::MAX, ..policy };
        let counters = Counters { starts: 1, failures, ..Counters::default() };
        let failed = outcome(OutcomeKind::Failed, asked);
        let (settlement, after) = policy.decide(failed, counters, &mut random);
        let Settlement::Retry { delay } = settlement else { panic!("{settlement:?}") };
        prop_assert_eq!(after.failures, failures.saturating_add(1));
        let longest = policy.max_backoff.min(MAX_DELAY);
        let floor = asked.unwrap_or(policy.min_backoff.min(longest)).min(MAX_DELAY);
        prop_assert!(delay >= floor, "{delay:?} undercuts {floor:?}");
        prop_assert!(delay <= longest.max(floor), "{delay:?} is longer than {longest:?}");
        if failures == 0 && asked.is_none() && policy.factor >= 1.0 {
            prop_assert_eq!(delay, floor, "the first wait is the shortest");
        }
        if policy.min_backoff.is_zero() && asked.is_none() {
            prop_assert_eq!(delay, Duration::ZERO, "a policy without a wait stays without one");
        }
    }

    #[test]
    fn what_another_attempt_cannot_cure_is_not_retried(policy in policies(), starts in 1..100_u32, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let counters = Counters { starts, ..Counters::default() };
        let mut decide = |kind| policy.decide(outcome(kind, None), counters, &mut random);
        prop_assert_eq!(decide(OutcomeKind::Rejected).0, Settlement::Bury);
        prop_assert_eq!(decide(OutcomeKind::Cancelled).0, Settlement::Cancel);
        prop_assert_eq!(decide(OutcomeKind::Succeeded).0, Settlement::Complete { reply: b"reply".to_vec(), keep: policy.keep_result });
        let given_back = Counters { starts: starts - 1, ..counters };
        prop_assert_eq!(decide(OutcomeKind::Interrupted), (Settlement::Release, given_back));
    }

    #[test]
    fn a_job_takes_no_more_workers_down_than_it_may(policy in policies(), max_lost in 1..9_u32, seed: u64) {
        let policy = RetryPolicy { max_attempts: u32::MAX, max_lost, max_waits: u32::MAX, ..policy };
        let mut random = StdRng::seed_from_u64(seed);
        let mut counters = Counters::default();
        for lost in 1.. {
            counters.starts += 1;
            // One that was only held ahead of the slots is lost as well, and took nobody down.
            let begun = if lost % 3 == 0 { Begun::No } else { Begun::Known };
            let (settlement, after) = policy.decide_lost(begun, counters, &mut random);
            prop_assert_eq!(settlement == Settlement::Bury, after.lost == max_lost);
            if settlement == Settlement::Bury {
                return Ok(());
            }
            counters = after;
        }
    }

    /// Each attempt is lost, or fails: whoever runs a last one has it known first.
    #[test]
    fn a_job_is_dead_as_lost_only_of_an_attempt_that_had_begun_or_of_too_many_waits(
        policy in policies(), max_lost in 1..9_u32, attempts in prop::collection::vec((any::<bool>(), any::<bool>()), 200),
        seed: u64,
    ) {
        let policy = RetryPolicy { max_lost, ..policy };
        let mut random = StdRng::seed_from_u64(seed);
        let mut counters = Counters::default();
        let mut ran = 0;
        for (runs, said) in attempts {
            counters.starts += 1;
            let last = policy.is_last(counters);
            // One that is not the last may run without anybody knowing, or never arrive where it is presumed to.
            let begun = match (runs, said) {
                (true, _) if last => Begun::Known,
                (true, true) => Begun::Known,
                (false, false) => Begun::No,
                _ => Begun::Presumed,
            };
            ran += u32::from(runs);
            prop_assert!(ran <= policy.max_attempts, "a guest runs too often");
            let (settlement, after) = policy.decide_lost(begun, counters, &mut random);
            if last && begun != Begun::Known {
                let given_back = Counters { starts: counters.starts - 1, waits: counters.waits + 1, ..counters };
                prop_assert_eq!(after, given_back);
                prop_assert_eq!(settlement == Settlement::Bury, after.waits > policy.max_waits);
            } else {
                prop_assert_eq!((after.starts, after.waits), (counters.starts, counters.waits));
                prop_assert_eq!(after.lost, counters.lost + u32::from(begun != Begun::No));
                prop_assert_eq!(settlement == Settlement::Bury, last, "{:?}", begun);
            }
            if settlement == Settlement::Bury {
                return Ok(());
            }
            counters = after;
        }
        prop_assert!(false, "it goes round for ever");
    }

    #[test]
    fn an_attempt_after_a_retry_is_not_too_many_and_one_after_the_last_is(
        policy in policies(), lost in prop::collection::vec(any::<bool>(), 200), seed: u64,
    ) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut counters = Counters::default();
        for lost in lost {
            counters.starts += 1;
            prop_assert!(!policy.is_too_many(counters));
            let (settlement, after) = match lost {
                true => policy.decide_lost(Begun::Known, counters, &mut random),
                false => policy.decide(outcome(OutcomeKind::Failed, None), counters, &mut random),
            };
            counters = after;
            if settlement == Settlement::Bury {
                let next = Counters { starts: counters.starts + 1, ..counters };
                prop_assert!(policy.is_too_many(next));
                return Ok(());
            }
        }
    }

    #[test]
    fn a_snooze_lasts_as_long_as_it_was_asked_for(policy in policies(), asked in spans(), seed: u64) {
        let policy = RetryPolicy { max_waits: 1, ..policy };
        let counters = Counters { starts: 1, ..Counters::default() };
        let snooze = outcome(OutcomeKind::Snoozed, Some(asked));
        let (settlement, after) = policy.decide(snooze, counters, &mut StdRng::seed_from_u64(seed));
        prop_assert_eq!(settlement, Settlement::Retry { delay: asked.min(MAX_DELAY) });
        prop_assert_eq!(after, Counters { waits: 1, ..Counters::default() });
    }
}

#[test]
fn waits_grow_to_the_longest_and_spread() {
    let policy = RetryPolicy { max_attempts: u32::MAX, ..RetryPolicy::default() };
    let mut random = StdRng::seed_from_u64(7);
    let mut delays = |failures| -> Vec<Duration> {
        let counters = Counters { starts: 1, failures, ..Counters::default() };
        let mut delay = || match policy.decide(outcome(OutcomeKind::Trapped, None), counters, &mut random).0 {
            Settlement::Retry { delay } => delay,
            other => panic!("{other:?}"),
        };
        (0..200).map(|_| delay()).collect()
    };
    for (failures, ceiling) in [(1, 2), (4, 16), (30, 3600), (5000, 3600)] {
        let delays = delays(failures);
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        let span = Duration::from_secs(ceiling - 1);
        assert!(*least < Duration::from_secs(1) + span / 10 && *most > Duration::from_secs(1) + span / 10 * 9);
        assert!(*most <= Duration::from_secs(ceiling));
    }
}
