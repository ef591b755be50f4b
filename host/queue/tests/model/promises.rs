//! The promises of `docs/queue-protocol.md`, as what must be true in every state.

use afresh_queue::State as Standing;
use stateright::{Model, Property};

use crate::protocol::Protocol;
use crate::state::{Record, Stage, State, Truth};

pub(crate) const NEVER_GONE: &str = "a job that was accepted is never gone";
pub(crate) const ENDS: &str = "where nothing is left to do, every job has ended";
pub(crate) const ENDS_ONCE: &str = "a job is ended by exactly one settlement";
pub(crate) const STARTS: &str = "a job starts, and its guest runs, at most max_attempts times";
pub(crate) const COUNTED_ONCE: &str = "every attempt that failed counts as one failure";
pub(crate) const NO_COST: &str = "what costs no attempt gives its start back";
pub(crate) const BEGUN: &str = "a job is dead as lost only if its last attempt is known to have begun";
pub(crate) const FENCED: &str = "a stale attempt never settles";
pub(crate) const WORKED: &str = "a job that succeeded has run and succeeded";
pub(crate) const ALONE: &str =
    "two guests of a job run at once only where a lease ended with attempts left, or the store lost its tail";

/// Each of them, for stateright, and what must be possible, so that nothing is promised of a model in which nothing happens.
///
/// That every job ends is said of states, because stateright's `eventually` overlooks cycles and joins: where nothing but
/// a fault can happen, all jobs have ended; and every path is finite, since no state follows itself ([`crate::healthy`]).
pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(NEVER_GONE, never_gone),
        Property::always(ENDS, ends),
        Property::always(ENDS_ONCE, ends_once),
        Property::always(STARTS, starts),
        Property::always(COUNTED_ONCE, counted_once),
        Property::always(NO_COST, no_cost),
        Property::always(BEGUN, begun),
        Property::always(FENCED, fenced),
        Property::always(WORKED, worked),
        Property::always(ALONE, alone),
        Property::sometimes("all jobs succeed", |_, state| all_are(state, Standing::Succeeded)),
        Property::sometimes("all jobs die", |_, state| all_are(state, Standing::Dead)),
        Property::sometimes("a lease is taken over while its guest runs", taken_over),
        Property::sometimes("a last attempt is lost before it begins", waits),
    ];
    if protocol.max_attempts > 1 {
        all.push(Property::sometimes("two guests of a job run at once", |_, state: &State| {
            state.jobs().any(|(job, ..)| state.guests(job) > 1)
        }));
    }
    all
}

fn never_gone(_: &Protocol, state: &State) -> bool {
    let written_half = |job| state.holds().any(|hold| hold.job == job && matches!(hold.stage, Stage::Half(_)));
    state.jobs().all(|(job, record, _)| record.standing.is_some() || written_half(job))
}

fn ends(protocol: &Protocol, state: &State) -> bool {
    let mut steps = Vec::new();
    protocol.actions(state, &mut steps);
    let is_no_fault = |next: State| next.faults == state.faults && next.saved == state.saved;
    state.store.jobs.iter().all(Record::has_ended)
        || steps.into_iter().any(|step| protocol.next_state(state, step).is_some_and(is_no_fault))
}

fn ends_once(_: &Protocol, state: &State) -> bool {
    state.store.jobs.iter().all(|record| record.ends == u8::from(record.has_ended()))
}

fn starts(protocol: &Protocol, state: &State) -> bool {
    state.jobs().all(|(_, record, truth)| {
        let runs = if protocol.lost_tail(state) { 0 } else { truth.runs };
        record.counters.starts.max(runs) <= protocol.max_attempts
    })
}

fn counted_once(_: &Protocol, state: &State) -> bool {
    let succeeded = |record: &Record| u8::from(record.is(Standing::Succeeded));
    state.store.jobs.iter().all(|record| record.counters.failures + succeeded(record) == record.spent)
}

fn no_cost(_: &Protocol, state: &State) -> bool {
    let running = |record: &Record| u8::from(record.is(Standing::Running));
    state.store.jobs.iter().all(|record| record.counters.starts == record.spent + running(record))
}

fn begun(_: &Protocol, state: &State) -> bool {
    state.truth.iter().all(|truth| !truth.unbegun)
}

fn fenced(_: &Protocol, state: &State) -> bool {
    state.truth.iter().all(|truth| !truth.stale)
}

fn worked(_: &Protocol, state: &State) -> bool {
    state.jobs().all(|(_, record, truth)| !record.is(Standing::Succeeded) || truth.worked)
}

fn alone(protocol: &Protocol, state: &State) -> bool {
    let may_be_two = |truth: &Truth| truth.expired && protocol.max_attempts > 1 || protocol.lost_tail(state);
    state.jobs().all(|(job, _, truth)| state.guests(job) < 2 || may_be_two(truth))
}

fn all_are(state: &State, standing: Standing) -> bool {
    state.store.jobs.iter().all(|record| record.is(standing))
}

fn taken_over(_: &Protocol, state: &State) -> bool {
    let newest = |job: u8| state.truth[usize::from(job)].leases;
    state.holds().any(|hold| hold.stage == Stage::Running && hold.lease < newest(hold.job))
}

fn waits(_: &Protocol, state: &State) -> bool {
    state.store.jobs.iter().any(|record| record.counters.waits > 0)
}
