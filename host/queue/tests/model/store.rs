//! What the broker does, and what `RetryPolicy::decide` says: the same as
//! `redis/scripts/{lease,extend,settle,reap,promote}.lua` and `policy.rs`, in fewer words. [`crate::replay`] holds the one
//! to the other.

use afresh_queue::{Begun, State as Standing};

use crate::protocol::{At, Protocol};
use crate::state::{Counters, End, Hold, Record, Stage, State, Store, Truth};
use crate::twins::Twin;

/// What is to be done with a job, as [`afresh_queue::Settlement`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settlement {
    Complete,
    Retry,
    Bury,
    Release,
}

impl Protocol {
    pub(crate) fn lease(&self, worker: u8, ahead: bool, heard: bool, state: &mut State) {
        let job = state.store.next().expect("a job is queued");
        let record = &mut state.store.jobs[usize::from(job)];
        (record.standing, record.worker) = (Some(Standing::Running), Some(worker));
        record.counters.starts += 1;
        record.begun = if ahead { Begun::No } else { Begun::Presumed };
        let stage = if self.is(Twin::AcksEarly) { Stage::Over(End::Succeeded) } else { Stage::Waiting };
        self.give(worker, job, stage, heard, state);
    }

    pub(crate) fn reap(&self, worker: u8, heard: bool, state: &mut State) {
        for job in self.expired(worker, state) {
            let begun = state.store.jobs[usize::from(job)].begun;
            self.give(worker, job, Stage::Over(End::Lost { begun }), heard, state);
        }
    }

    /// Gives a lease of a running job, with a token that no other lease ever had.
    fn give(&self, worker: u8, job: u8, stage: Stage, heard: bool, state: &mut State) {
        let (store, truth) = (&mut state.store, &mut state.truth[usize::from(job)]);
        truth.leases += 1;
        let lease = truth.leases;
        let record = &mut store.jobs[usize::from(job)];
        let token = match record.token {
            _ if self.is(Twin::CountedTokens) => {
                store.seq += 1;
                store.seq
            }
            Some(token) if self.is(Twin::KeepsToken) => token,
            _ => lease,
        };
        (record.token, record.open, record.over) = (Some(token), Some(lease), false);
        let counters = record.counters;
        if heard {
            let hold = Hold { job, lease, token, counters, marked: false, ran: false, stage };
            state.workers[usize::from(worker)].take(hold);
        }
    }

    /// Extends a lease, and notes whether its attempt has begun. One that is no longer the worker's ends its attempt.
    pub(crate) fn extend(&self, at: At, begun: bool, heard: bool, state: &mut State) {
        let token = state.hold(at).token;
        let record = &mut state.store.jobs[usize::from(at.job)];
        let own = record.token == Some(token);
        if own {
            record.over = false;
            record.begun = if begun { Begun::Known } else { record.begun };
        }
        if !heard {
            return;
        }
        let hold = state.hold(at);
        hold.marked |= own && begun;
        match hold.stage {
            Stage::Waiting if !own && !self.is(Twin::BuriesUnbegun) => hold.stage = Stage::Over(End::Interrupted),
            Stage::Waiting | Stage::Running if !own => hold.stage = Stage::Over(End::LeaseLost),
            _ => {}
        }
    }

    pub(crate) fn settle(&self, at: At, heard: bool, state: &mut State) {
        let hold = state.hold(at).clone();
        let lets_it = self.lets_settle(&hold, state);
        let record = &mut state.store.jobs[usize::from(at.job)];
        match hold.stage {
            Stage::Over(end) if lets_it && self.is(Twin::TwoSteps) => {
                (record.standing, record.token) = (None, None);
                state.hold(at).stage = Stage::Half(end);
                return;
            }
            Stage::Over(end) | Stage::Half(end) if lets_it => {
                self.carry_out(&hold, end, record, &mut state.truth[usize::from(at.job)]);
                if record.is(Standing::Scheduled) {
                    state.store.put_last(at.job);
                }
            }
            _ => {}
        }
        if heard {
            state.workers[usize::from(at.worker)].drop(at.job, at.lease);
        }
    }

    /// Whether the store carries out what is settled under this lease.
    pub(crate) fn lets_settle(&self, hold: &Hold, state: &State) -> bool {
        let own = state.store.jobs[usize::from(hold.job)].token == Some(hold.token);
        own || self.is(Twin::NoFence) || matches!(hold.stage, Stage::Half(_))
    }

    fn carry_out(&self, hold: &Hold, end: End, record: &mut Record, truth: &mut Truth) {
        let (settlement, counters) = self.decide(end, hold.counters);
        self.testify(hold, end, settlement, counters, record, truth);
        let standing = match settlement {
            Settlement::Complete => Standing::Succeeded,
            Settlement::Bury => Standing::Dead,
            Settlement::Release => Standing::Queued,
            Settlement::Retry => Standing::Scheduled,
        };
        let Record { spent, ends, .. } = *record;
        let failures = record.counters.failures + 1;
        *record = Record { standing: Some(standing), counters, spent, ends, ..Record::default() };
        if self.is(Twin::RepeatCounts) && settlement == Settlement::Retry {
            record.counters.failures = failures;
            record.token = Some(hold.token);
        }
    }

    /// Notes the truth about a settlement that is carried out.
    fn testify(
        &self,
        hold: &Hold,
        end: End,
        settlement: Settlement,
        counters: Counters,
        record: &mut Record,
        truth: &mut Truth,
    ) {
        let (first, begun) = (record.open == Some(hold.lease), record.begun == Begun::Known || hold.ran);
        let (lost, may_wait) = (matches!(end, End::Lost { .. } | End::LeaseLost), counters.waits <= self.max_waits);
        truth.stale |= !first;
        truth.unbegun |= settlement == Settlement::Bury && lost && !begun && may_wait;
        truth.runs = truth.runs.saturating_sub(u8::from(settlement == Settlement::Release && hold.ran));
        record.spent += u8::from(first && end != End::Interrupted && counters.waits == hold.counters.waits);
        record.ends += u8::from(matches!(settlement, Settlement::Complete | Settlement::Bury));
    }

    fn decide(&self, end: End, counters: Counters) -> (Settlement, Counters) {
        let unspent = Counters { starts: counters.starts - 1, ..counters };
        let took_its_worker_down = matches!(end, End::Lost { begun: Begun::Presumed | Begun::Known });
        let failed = Counters {
            failures: counters.failures + 1,
            lost: counters.lost + u8::from(took_its_worker_down),
            ..counters
        };
        match end {
            End::Succeeded => (Settlement::Complete, counters),
            End::Interrupted if self.is(Twin::ShutdownCosts) => (Settlement::Release, counters),
            End::Interrupted => (Settlement::Release, unspent),
            End::Lost { begun: Begun::No | Begun::Presumed }
                if self.is_last(counters) && !self.is(Twin::CountsUnbegun) =>
            {
                let waited = Counters { waits: counters.waits + 1, ..unspent };
                (if waited.waits > self.max_waits { Settlement::Bury } else { Settlement::Retry }, waited)
            }
            _ if failed.starts >= self.max_attempts || failed.lost >= self.max_lost => (Settlement::Bury, failed),
            _ => (Settlement::Retry, failed),
        }
    }

    /// Whether no attempt follows, should the worker vanish that has this one.
    pub(crate) fn is_last(&self, counters: Counters) -> bool {
        counters.starts >= self.max_attempts || counters.lost + 1 >= self.max_lost
    }
}

impl Store {
    /// The job that is leased next.
    pub(crate) fn next(&self) -> Option<u8> {
        self.order.iter().copied().find(|&job| self.jobs[usize::from(job)].is(Standing::Queued))
    }

    fn put_last(&mut self, job: u8) {
        self.order.retain(|&other| other != job);
        self.order.push(job);
    }
}
