//! The model is about this code: paths of the model, gone on the real brokers.
//!
//! The seed stands in the output. `AFRESH_SEED` repeats the walks, `AFRESH_WALKS` takes more of them.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use stateright::Model;

use crate::healthy::ALWAYS;
use crate::protocol::{Protocol, Step};
use crate::real::Real;
use crate::state::{Faults, State};
use crate::twins::Twin;

/// How long the paths are of which all are gone.
const ALL_OF: usize = 5;

/// What they are gone in: a first attempt is a last one, too.
const SHORT: Protocol = Protocol { max_attempts: 1, ..ALWAYS };

/// More of everything than could be checked: walks go further than the check.
const WILD: Faults = Faults { kills: 3, silences: 3, shutdowns: 2, answers: 3, tails: 0 };

type Path = Vec<(State, Option<Step>)>;

async fn all_short_paths(real: &mut Real) {
    let mut random = StdRng::seed_from_u64(0);
    let mut paths = 0;
    let mut to_go: Vec<Path> = SHORT.init_states().into_iter().map(|first| vec![(first, None)]).collect();
    while let Some(path) = to_go.pop() {
        let longer = if path.len() <= ALL_OF { longer(&SHORT, &path) } else { Vec::new() };
        if longer.is_empty() {
            go(real, &SHORT, &path, &mut random).await;
            paths += 1;
        }
        to_go.extend(longer);
    }
    println!("{paths} paths");
    assert!(paths > 1_000, "only {paths} paths: what has gone from the model?");
}

async fn random_walks(real: &mut Real, tails: u8) {
    let from_env = |name| std::env::var(name).ok().map(|value| value.parse().expect("a number"));
    let seed: u64 = from_env("AFRESH_SEED").unwrap_or_else(rand::random);
    let walks: u64 = from_env("AFRESH_WALKS").unwrap_or(1_000);
    println!("AFRESH_SEED={seed} AFRESH_WALKS={walks}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut steps = 0;
    for _ in 0..walks {
        let protocol = Protocol {
            jobs: random.random_range(1..=2),
            max_attempts: random.random_range(1..=3),
            max_waits: random.random_range(0..=2),
            max_lost: random.random_range(1..=3),
            faults: Faults { tails, ..WILD },
            ..ALWAYS
        };
        let path = walk(&protocol, &mut random);
        go(real, &protocol, &path, &mut random).await;
        steps += path.len() - 1;
    }
    println!("{steps} steps");
}

async fn go(real: &mut Real, protocol: &Protocol, path: &Path, random: &mut StdRng) {
    if let Err(divergence) = real.go(protocol, path, random).await {
        panic!("{divergence}");
    }
}

/// Every path that is one step longer.
fn longer(protocol: &Protocol, path: &Path) -> Vec<Path> {
    let (last, before) = path.split_last().expect("a path begins");
    let longer = |(step, state)| [before, &[(last.0.clone(), Some(step)), (state, None)]].concat();
    protocol.next_steps(&last.0).into_iter().map(longer).collect()
}

/// One way through the model, to its end.
fn walk(protocol: &Protocol, random: &mut StdRng) -> Path {
    let mut state = protocol.init_states().remove(0);
    let mut path = Path::new();
    while let Some((step, next)) = protocol.next_steps(&state).choose(random).cloned() {
        path.push((state, Some(step)));
        state = next;
    }
    path.push((state, None));
    path
}

#[tokio::test]
async fn redis_goes_all_short_paths() {
    all_short_paths(&mut Real::redis().await).await;
}

#[tokio::test]
async fn sqlite_goes_all_short_paths() {
    all_short_paths(&mut Real::sqlite().await).await;
}

#[tokio::test]
async fn redis_goes_random_walks() {
    random_walks(&mut Real::redis().await, 1).await;
}

#[tokio::test]
async fn sqlite_goes_random_walks() {
    random_walks(&mut Real::sqlite().await, 0).await;
}

/// What a broken store does, a real one does not; so the comparison can fail. The twins whose fault is a worker's alone are
/// left out: a store does what it is told.
#[tokio::test]
async fn no_broker_goes_the_way_of_a_broken_twin() {
    for twin in Twin::ALL.into_iter().filter(|twin| !twin.is_of_a_worker()) {
        for (promise, path) in twin.counterexamples() {
            let (protocol, path) = (twin.protocol(), path.into_vec());
            let mut reals = vec![Real::redis().await];
            if protocol.faults.tails == 0 {
                reals.push(Real::sqlite().await);
            }
            for mut real in reals {
                let gone = real.go(&protocol, &path, &mut StdRng::seed_from_u64(0)).await;
                let divergence = gone.expect_err(&format!("a broker does as {twin:?}, and so breaks: {promise}"));
                println!("{twin:?}: {divergence}\n");
            }
        }
    }
}
