//! The protocol: which steps can be taken in a state, and where each leads. What the store does is in [`crate::store`].

use std::fmt;

use afresh_queue::State as Standing;
use stateright::{Model, Property};

use crate::promises;
use crate::state::{End, Faults, Hold, Record, Stage, State, Store, Truth, Worker};
use crate::twins::Twin;

/// One queue, the workers that serve it, and what may go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) jobs: u8,
    pub(crate) workers: u8,
    pub(crate) max_attempts: u8,
    pub(crate) max_waits: u8,
    pub(crate) max_lost: u8,
    pub(crate) faults: Faults,
    /// What is broken on purpose.
    pub(crate) twin: Option<Twin>,
}

/// A lease in a worker's hands.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub(crate) worker: u8,
    pub(crate) job: u8,
    pub(crate) lease: u8,
}

/// A step that somebody takes, or that befalls somebody. An answer that is not `heard` is one of a call that was carried
/// out all the same; a call that was not carried out is no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// A worker leases the job that is next, `ahead` of its slots or to begin at once.
    Lease { worker: u8, ahead: bool, heard: bool },
    /// A worker has the store write that an attempt begins.
    Begin { at: At, heard: bool },
    /// A guest starts.
    Run { at: At },
    /// It ends.
    Finish { at: At, well: bool },
    /// A heartbeat.
    Beat { at: At },
    /// A worker settles an attempt, or does so again.
    Settle { at: At, heard: bool },
    /// A worker takes over what has expired.
    Reap { worker: u8, heard: bool },
    /// What is scheduled becomes due, and somebody makes it available.
    Promote,
    /// A lease ends by the broker's clock.
    Expire { job: u8 },
    /// SIGKILL.
    Kill { worker: u8 },
    /// SIGTERM: what has not begun goes back.
    Shutdown { worker: u8 },
    /// A worker that shuts down waits for a guest no longer.
    Interrupt { at: At },
    /// What the store remembers reaches the disk.
    Save,
    /// The store crashes, and what did not reach the disk is gone.
    LoseTail,
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let jobs = vec![Record::default(); self.jobs.into()];
        vec![State {
            store: Store { jobs, order: (0..self.jobs).collect(), seq: 0 },
            saved: None,
            workers: vec![Worker::default(); self.workers.into()],
            truth: vec![Truth::default(); self.jobs.into()],
            faults: self.faults,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for worker in 0..self.workers {
            self.steps_of(worker, state, steps);
        }
        if state.store.jobs.iter().any(|record| record.is(Standing::Scheduled)) {
            steps.push(Step::Promote);
        }
        for (job, record, _) in state.jobs() {
            let vanished = !state.is_held(job, record.open);
            if record.is(Standing::Running) && !record.over && (vanished || state.faults.silences > 0) {
                steps.push(Step::Expire { job });
            }
        }
        if state.faults.tails > 0 {
            steps.push(if state.saved.is_none() { Step::Save } else { Step::LoseTail });
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        self.take(step, &mut next);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all(self)
    }
}

// What can be done.
impl Protocol {
    fn steps_of(&self, worker: u8, state: &State, steps: &mut Vec<Step>) {
        let own = &state.workers[usize::from(worker)];
        let answers: &[bool] = if state.faults.answers > 0 { &[true, false] } else { &[true] };
        if !own.leaves && state.store.next().is_some() {
            for ahead in [false, true] {
                steps.extend(answers.iter().map(|&heard| Step::Lease { worker, ahead, heard }));
            }
        }
        if !own.leaves && !self.expired(worker, state).is_empty() {
            steps.extend(answers.iter().map(|&heard| Step::Reap { worker, heard }));
        }
        for hold in &own.holds {
            let at = At { worker, job: hold.job, lease: hold.lease };
            match hold.stage {
                Stage::Waiting if self.is_to_be_written_ahead(hold) => {
                    steps.extend(answers.iter().map(|&heard| Step::Begin { at, heard }));
                }
                Stage::Waiting => steps.push(Step::Run { at }),
                Stage::Running => {
                    steps.extend([true, false].map(|well| Step::Finish { at, well }));
                    if own.leaves {
                        steps.push(Step::Interrupt { at });
                    }
                }
                Stage::Over(_) | Stage::Half(_) => {
                    steps.extend(answers.iter().map(|&heard| Step::Settle { at, heard }));
                }
            }
            steps.push(Step::Beat { at });
        }
        if !own.holds.is_empty() && state.faults.kills > 0 {
            steps.push(Step::Kill { worker });
        }
        if !own.holds.is_empty() && !own.leaves && state.faults.shutdowns > 0 {
            steps.push(Step::Shutdown { worker });
        }
    }

    /// The jobs that a worker would take over.
    pub(crate) fn expired(&self, worker: u8, state: &State) -> Vec<u8> {
        let by_its_own_clock = |record: &Record| self.is(Twin::WorkersClock) && record.worker != Some(worker);
        let running = state.jobs().filter(|(_, record, _)| record.is(Standing::Running));
        running.filter(|(_, record, _)| record.over || by_its_own_clock(record)).map(|(job, ..)| job).collect()
    }

    /// A last attempt begins only once the store knows that it does.
    fn is_to_be_written_ahead(&self, hold: &Hold) -> bool {
        !hold.marked && self.is_last(hold.counters) && !self.is(Twin::NotWrittenAhead)
    }

    /// Whether the store has lost its tail.
    pub(crate) fn lost_tail(&self, state: &State) -> bool {
        state.faults.tails < self.faults.tails
    }

    pub(crate) fn is(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }
}

// What is done.
impl Protocol {
    fn take(&self, step: Step, state: &mut State) {
        if let Step::Lease { heard, .. }
        | Step::Begin { heard, .. }
        | Step::Settle { heard, .. }
        | Step::Reap { heard, .. } = step
        {
            state.faults.answers -= u8::from(!heard);
        }
        match step {
            Step::Lease { worker, ahead, heard } => self.lease(worker, ahead, heard, state),
            Step::Begin { at, heard } => self.extend(at, true, heard, state),
            Step::Run { at } => {
                state.truth[usize::from(at.job)].runs += 1;
                let hold = state.hold(at);
                (hold.ran, hold.stage) = (true, Stage::Running);
            }
            Step::Finish { at, well } => {
                state.truth[usize::from(at.job)].worked |= well;
                state.hold(at).stage = Stage::Over(if well { End::Succeeded } else { End::Failed });
            }
            Step::Beat { at } => {
                let begun = state.hold(at).ran;
                self.extend(at, begun, true, state);
            }
            Step::Settle { at, heard } => self.settle(at, heard, state),
            Step::Reap { worker, heard } => self.reap(worker, heard, state),
            Step::Promote => {
                for record in state.store.jobs.iter_mut().filter(|record| record.is(Standing::Scheduled)) {
                    record.standing = Some(Standing::Queued);
                }
            }
            Step::Expire { job } => {
                let record = &mut state.store.jobs[usize::from(job)];
                let open = record.open;
                (record.over, state.truth[usize::from(job)].expired) = (true, true);
                state.faults.silences -= u8::from(state.is_held(job, open));
            }
            Step::Kill { worker } => {
                state.faults.kills -= 1;
                state.workers[usize::from(worker)] = Worker::default();
            }
            Step::Shutdown { worker } => {
                state.faults.shutdowns -= 1;
                let own = &mut state.workers[usize::from(worker)];
                own.leaves = true;
                for hold in own.holds.iter_mut().filter(|hold| hold.stage == Stage::Waiting) {
                    hold.stage = Stage::Over(End::Interrupted);
                }
            }
            Step::Interrupt { at } => state.hold(at).stage = Stage::Over(End::Interrupted),
            Step::Save => state.saved = Some(state.store.clone()),
            Step::LoseTail => {
                state.faults.tails -= 1;
                state.store = state.saved.take().expect("only what was saved comes back");
            }
        }
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} with lease {} of job {}", self.worker, self.lease, self.job)
    }
}
