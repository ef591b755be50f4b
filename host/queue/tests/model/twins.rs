//! Twins of the protocol, each broken in one place. Each must break what that place is there for: this is how one knows
//! that the promises can be broken at all, and that the model would tell.

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::healthy::{ALWAYS, EVERYSEC};
use crate::promises::{ALONE, BEGUN, COUNTED_ONCE, ENDS, ENDS_ONCE, FENCED, NEVER_GONE, NO_COST, STARTS, WORKED};
use crate::protocol::{Protocol, Step};
use crate::state::State;

/// No counterexample is longer.
const DEEPEST: usize = 20;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twin {
    /// A settlement is carried out whatever its token.
    NoFence,
    /// Who takes a lease over gets the token it had.
    KeepsToken,
    /// Tokens are counted in the store, and with its tail the count is lost.
    CountedTokens,
    /// A settlement is two steps: the job leaves where it was, then it comes where it goes.
    TwoSteps,
    /// A worker whose clock is ahead takes over leases that have not ended.
    WorkersClock,
    /// A guest runs before the store knows that a last attempt begins.
    NotWrittenAhead,
    /// A last attempt that was lost before it began is counted all the same.
    CountsUnbegun,
    /// An attempt whose lease was lost before it began is settled as lost.
    BuriesUnbegun,
    /// A retry that is settled again counts again.
    RepeatCounts,
    /// A shutdown does not give the start back.
    ShutdownCosts,
    /// A worker acknowledges a job when it gets it.
    AcksEarly,
}

impl Twin {
    pub(crate) const ALL: [Self; 11] = [
        Self::NoFence,
        Self::KeepsToken,
        Self::CountedTokens,
        Self::TwoSteps,
        Self::WorkersClock,
        Self::NotWrittenAhead,
        Self::CountsUnbegun,
        Self::BuriesUnbegun,
        Self::RepeatCounts,
        Self::ShutdownCosts,
        Self::AcksEarly,
    ];

    /// The promises it breaks.
    fn breaks(self) -> &'static [&'static str] {
        match self {
            Self::NoFence => &[FENCED, ENDS_ONCE],
            Self::KeepsToken | Self::CountedTokens => &[FENCED],
            Self::TwoSteps => &[NEVER_GONE, ENDS],
            Self::WorkersClock => &[ALONE],
            Self::NotWrittenAhead => &[STARTS, ALONE],
            Self::CountsUnbegun | Self::BuriesUnbegun => &[BEGUN],
            Self::RepeatCounts => &[COUNTED_ONCE],
            Self::ShutdownCosts => &[NO_COST],
            Self::AcksEarly => &[WORKED],
        }
    }

    /// Whether its fault is a worker's, and no store's.
    pub(crate) fn is_of_a_worker(self) -> bool {
        matches!(self, Self::NotWrittenAhead | Self::BuriesUnbegun | Self::AcksEarly)
    }

    /// The protocol with this twin's fault, where it shows.
    pub(crate) fn protocol(self) -> Protocol {
        let protocol = match self {
            Self::CountedTokens | Self::BuriesUnbegun => EVERYSEC,
            _ => ALWAYS,
        };
        // Traces are shorter with one attempt, and a retry or a second guest takes two.
        let max_attempts = if matches!(self, Self::RepeatCounts | Self::WorkersClock) { 2 } else { 1 };
        Protocol { twin: Some(self), max_attempts, ..protocol }
    }

    /// The shortest way to break each of its promises.
    pub(crate) fn counterexamples(self) -> impl Iterator<Item = (&'static str, Path<State, Step>)> {
        self.breaks().iter().map(move |&promise| (promise, self.counterexample(promise)))
    }

    fn counterexample(self, promise: &'static str) -> Path<State, Step> {
        let shortest = (1..DEEPEST).find_map(|depth| {
            let checker = self.protocol().checker().target_max_depth(depth);
            checker.finish_when(HasDiscoveries::AnyOf([promise].into())).spawn_bfs().join().discovery(promise)
        });
        shortest.unwrap_or_else(|| panic!("{self:?} does not break: {promise}"))
    }
}

#[test]
fn each_twin_breaks_its_promise() {
    for twin in Twin::ALL {
        for (promise, path) in twin.counterexamples() {
            println!("{twin:?} breaks: {promise}\n{path}");
        }
    }
}
