//! Payloads out of a type that implements `Arbitrary`: values of the task's own input type, made of bytes that change.

use std::any::type_name;
use std::sync::atomic::{AtomicU32, Ordering};

use arbitrary::{Arbitrary, Unstructured};
use serde::Serialize;

use crate::guest::Guest;

/// Inputs in a row of which a type makes no value, before it is taken for one that never does.
const MOST_MISSES: u32 = 10_000;

impl Guest {
    /// Runs the task on the JSON of values of its own input type, made by [`arbitrary::Arbitrary`] out of bytes that change
    /// as in [`Guest::bytes`].
    ///
    /// # Panics
    /// As [`Guest::bytes`] does, and when no bytes make a value.
    #[track_caller]
    pub fn arbitrary<T>(self)
    where
        T: for<'a> Arbitrary<'a> + Serialize,
    {
        let bench = self.prepare_typed();
        let misses = AtomicU32::new(0);
        bench.report(bench.look(Vec::new(), &|input| {
            let value = T::arbitrary_take_rest(Unstructured::new(input)).ok();
            let payload = value.and_then(|value| serde_json::to_vec(&value).ok());
            let missed = if payload.is_some() { 0 } else { misses.load(Ordering::Relaxed) + 1 };
            misses.store(missed, Ordering::Relaxed);
            assert!(
                missed < MOST_MISSES,
                "{missed} inputs in a row made no payload: look at the `Arbitrary` of {}, and whether its values become JSON",
                type_name::<T>()
            );
            payload
        }));
    }
}
