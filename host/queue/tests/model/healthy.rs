//! The protocol as it is keeps every promise, whatever goes wrong, as far as the faults reach. `AFRESH_FAULTS` multiplies
//! them, for a check that takes long, in release too.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use stateright::{Checker, Model};

use crate::protocol::Protocol;
use crate::state::{Faults, State};

/// One job on a store that loses nothing.
pub(crate) const ALWAYS: Protocol = Protocol {
    jobs: 1,
    workers: 2,
    max_attempts: 2,
    max_waits: 2,
    max_lost: 3,
    faults: Faults { kills: 1, silences: 1, shutdowns: 1, answers: 1, tails: 0 },
    twin: None,
};

/// One job, one attempt, on a store that may lose its tail.
pub(crate) const EVERYSEC: Protocol = Protocol {
    max_attempts: 1,
    faults: Faults { kills: 1, silences: 1, shutdowns: 0, answers: 0, tails: 1 },
    ..ALWAYS
};

/// Checks every state that can be reached; there are at least so many, or the model has shrunk.
fn check(protocol: Protocol, at_least: usize) {
    let times = std::env::var("AFRESH_FAULTS").map_or(1, |times| times.parse().expect("AFRESH_FAULTS is a number"));
    let faults = protocol.faults.times(times);
    let checker = Protocol { faults, ..protocol }.checker().spawn_bfs().join();
    checker.assert_properties();
    let states = checker.unique_state_count();
    println!("{states} states, the furthest {} steps from the first", checker.max_depth() - 1);
    assert!(states >= at_least, "only {states} states: what has gone from the model?");
}

#[test]
fn one_job_with_two_attempts_keeps_every_promise() {
    check(ALWAYS, 200_000);
}

#[test]
fn one_job_with_one_attempt_keeps_every_promise() {
    check(Protocol { max_attempts: 1, ..ALWAYS }, 30_000);
}

#[test]
fn one_job_that_may_wait_no_more_keeps_every_promise() {
    check(Protocol { max_attempts: 1, max_waits: 0, ..ALWAYS }, 5_000);
}

#[test]
fn two_jobs_keep_every_promise() {
    let faults = Faults { kills: 1, silences: 1, ..Faults::default() };
    check(Protocol { jobs: 2, max_attempts: 1, faults, ..ALWAYS }, 100_000);
}

#[test]
fn one_job_with_one_attempt_on_a_store_that_loses_its_tail_keeps_every_promise() {
    check(EVERYSEC, 90_000);
}

#[test]
fn one_job_with_two_attempts_on_a_store_that_loses_its_tail_keeps_every_promise() {
    let faults = Faults { kills: 0, ..EVERYSEC.faults };
    check(Protocol { max_attempts: 2, faults, ..EVERYSEC }, 120_000);
}

// With this, what is said of states that nothing follows is said of every path.
#[test]
fn every_path_ends() {
    for protocol in [ALWAYS, EVERYSEC] {
        let hashes = RandomState::new();
        // Of each state that was seen, whether the walk is on a path through it.
        let mut seen: HashMap<u64, bool> = HashMap::new();
        let mut path: Vec<(u64, Vec<State>)> = Vec::new();
        let mut next = protocol.init_states();
        loop {
            if let Some(state) = next.pop() {
                let hash = hashes.hash_one(&state);
                assert!(seen.get(&hash) != Some(&true), "a state follows itself: {state:#?}");
                if seen.insert(hash, true).is_none() {
                    path.push((hash, std::mem::replace(&mut next, protocol.next_states(&state))));
                } else {
                    seen.insert(hash, false);
                }
            } else if let Some((hash, rest)) = path.pop() {
                seen.insert(hash, false);
                next = rest;
            } else {
                break;
            }
        }
        println!("{} states, and none follows itself", seen.len());
    }
}
