//! Payloads out of proptest's strategies: values of the task's own input type. proptest makes them smaller, too.

use std::cell::RefCell;
use std::fmt::Debug;
use std::time::Instant;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde::Serialize;

use crate::finding::Finding;
use crate::guest::{Bench, Found, Guest};
use crate::oracle::Judgement;

/// How many payloads are run where the test does not say.
const CASES: u32 = 256;

/// The most milliseconds that making one smaller may take.
const SHRINK_MS: u32 = 20_000;

impl Guest {
    /// Runs the task on the JSON of the strategy's values.
    ///
    /// # Panics
    /// As [`Guest::bytes`] does, with the smallest value that proptest finds.
    #[track_caller]
    pub fn json<S>(self, strategy: S)
    where
        S: Strategy,
        S::Value: Serialize,
    {
        let bench = self.prepare_typed();
        bench.report(look(&bench, &strategy, |value| serde_json::to_vec(&value).expect("a value that becomes JSON")));
    }

    /// Runs the task on the strategy's values as they are: texts or bytes.
    ///
    /// # Panics
    /// As [`Guest::bytes`] does, with the smallest value that proptest finds.
    #[track_caller]
    pub fn payloads<S>(self, strategy: S)
    where
        S: Strategy,
        S::Value: Into<Vec<u8>>,
    {
        let bench = self.prepare_typed();
        bench.report(look(&bench, &strategy, Into::into));
    }
}

#[track_caller]
fn look<S>(bench: &Bench, strategy: &S, payload: impl Fn(S::Value) -> Vec<u8>) -> Option<Found>
where
    S: Strategy,
    S::Value: Debug,
{
    let begun = Instant::now();
    let is_over = || bench.plan.time.is_some_and(|time| begun.elapsed() >= time);
    let config = Config {
        cases: bench.plan.runs.map_or(CASES, |runs| u32::try_from(runs).unwrap_or(u32::MAX)),
        failure_persistence: None,
        max_shrink_time: SHRINK_MS,
        ..Config::default()
    };
    for round in 0.. {
        // A runner counts what it ran and what its strategy rejected for good, so each round has its own.
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&bench.plan.seed.wrapping_add(round).to_le_bytes());
        let mut runner = TestRunner::new_with_rng(config.clone(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        // What is made smaller must stay wrong at the same place.
        let first: RefCell<Option<(Judgement, usize)>> = RefCell::default();
        let result = runner.run(strategy, |value| {
            if first.borrow().is_none() && is_over() {
                return Ok(());
            }
            let payload = payload(value);
            match bench.judge(&payload) {
                Some(judgement) => {
                    let mut first = first.borrow_mut();
                    let (known, _) = first.get_or_insert_with(|| (judgement.clone(), payload.len()));
                    match known.place == judgement.place {
                        true => Err(TestCaseError::fail(judgement.message)),
                        false => Ok(()),
                    }
                }
                None => Ok(()),
            }
        });
        match (result, first.into_inner()) {
            (Err(TestError::Fail(_, value)), Some((judgement, found_bytes))) => {
                let payload = payload(value);
                let Judgement { flaw, message, .. } = bench.judge(&payload).unwrap_or(judgement);
                return Some(bench.keep(Finding { flaw, message, payload, found_bytes }));
            }
            (Err(error), _) => panic!("the strategy makes no values: {error}"),
            (Ok(()), _) if bench.plan.time.is_none() || is_over() => break,
            (Ok(()), _) => {}
        }
    }
    None
}
