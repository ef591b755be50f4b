//! A state of the model: what the store remembers, what each worker believes, what may still go wrong, and the truth,
//! which nobody in the protocol can see.

use afresh_queue::{Begun, State as Standing};

use crate::protocol::At;

/// Everything at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    /// What the store falls back to if it loses its tail.
    pub(crate) saved: Option<Store>,
    pub(crate) workers: Vec<Worker>,
    /// Of each job.
    pub(crate) truth: Vec<Truth>,
    pub(crate) faults: Faults,
}

/// What the broker remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) jobs: Vec<Record>,
    /// In which order jobs are leased, where they are queued.
    pub(crate) order: Vec<u8>,
    /// The last token, in the twin that counts them here.
    pub(crate) seq: u8,
}

/// A job's record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    /// `None` where it stands nowhere: that is how a job gets lost.
    pub(crate) standing: Option<Standing>,
    pub(crate) counters: Counters,
    /// Of the newest lease; none once that is settled.
    pub(crate) token: Option<u8>,
    /// Who leased it; who takes an expired lease over leaves this as it is.
    pub(crate) worker: Option<u8>,
    /// Whether the attempt under it has begun.
    pub(crate) begun: Begun,
    /// Whether its lease has ended, by the broker's clock.
    pub(crate) over: bool,
    /// Ghost: which lease the newest one really is, until it is settled.
    pub(crate) open: Option<u8>,
    /// Ghost: attempts that were settled and cost one.
    pub(crate) spent: u8,
    /// Ghost: settlements that ended it.
    pub(crate) ends: u8,
}

/// As [`afresh_queue::Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Counters {
    pub(crate) starts: u8,
    pub(crate) failures: u8,
    pub(crate) waits: u8,
    pub(crate) lost: u8,
}

/// A worker. One that is killed is started again at once, with nothing in its hands: what it does not do meanwhile, it
/// may as well not do yet. One that is stopped or cut off is one that takes no step while a lease of its ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    /// The leases it believes in, by job and lease.
    pub(crate) holds: Vec<Hold>,
    /// It shuts down, until its hands are empty.
    pub(crate) leaves: bool,
}

/// A lease, as its worker sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hold {
    pub(crate) job: u8,
    /// Ghost: which lease of the job this is, from 1.
    pub(crate) lease: u8,
    pub(crate) token: u8,
    /// As they came with the lease.
    pub(crate) counters: Counters,
    /// Whether the store has answered that it knows that the attempt begins.
    pub(crate) marked: bool,
    /// Whether its guest has run, or does.
    pub(crate) ran: bool,
    pub(crate) stage: Stage,
}

/// How far a worker is with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Not begun.
    Waiting,
    /// The guest runs.
    Running,
    /// The attempt is over, and is settled until an answer comes.
    Over(End),
    /// Half of it is written, in the twin that settles in two steps.
    Half(End),
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Succeeded,
    Failed,
    /// The worker shuts down.
    Interrupted,
    /// Its worker heard that the lease is no longer its own.
    LeaseLost,
    /// The lease was taken over from a worker that vanished.
    Lost {
        begun: Begun,
    },
}

/// What really happened to a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Truth {
    /// How many leases of it were ever given: the newest one's name.
    pub(crate) leases: u8,
    /// How often a guest ran, but for runs that a shutdown interrupted and gave back.
    pub(crate) runs: u8,
    /// A guest succeeded.
    pub(crate) worked: bool,
    /// A lease of it has ended by the broker's clock.
    pub(crate) expired: bool,
    /// A settlement was carried out that was not by the newest lease, or by one that was settled already.
    pub(crate) stale: bool,
    /// It died as lost, although its last attempt was not known to have begun and it may still wait.
    pub(crate) unbegun: bool,
}

/// What may still go wrong, each so often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// SIGKILL of a worker that holds leases.
    pub(crate) kills: u8,
    /// A worker is stopped, or cut off, until a lease of its has ended.
    pub(crate) silences: u8,
    /// SIGTERM of a worker that holds leases.
    pub(crate) shutdowns: u8,
    /// An answer is lost, although the call was carried out.
    pub(crate) answers: u8,
    /// The store falls back to what it has saved.
    pub(crate) tails: u8,
}

impl State {
    /// Whether a worker believes in this lease.
    pub(crate) fn is_held(&self, job: u8, lease: Option<u8>) -> bool {
        self.holds().any(|hold| hold.job == job && Some(hold.lease) == lease)
    }

    pub(crate) fn hold(&mut self, at: At) -> &mut Hold {
        let holds = &mut self.workers[usize::from(at.worker)].holds;
        let hold = holds.iter_mut().find(|hold| (hold.job, hold.lease) == (at.job, at.lease));
        hold.expect("a worker acts under leases that it holds")
    }

    /// The same, to look at.
    pub(crate) fn held(&self, at: At) -> &Hold {
        let holds = &self.workers[usize::from(at.worker)].holds;
        let hold = holds.iter().find(|hold| (hold.job, hold.lease) == (at.job, at.lease));
        hold.expect("a worker acts under leases that it holds")
    }

    /// How many jobs stand there.
    pub(crate) fn count(&self, standing: Standing) -> usize {
        self.store.jobs.iter().filter(|record| record.is(standing)).count()
    }

    /// How many guests of a job run now.
    pub(crate) fn guests(&self, job: u8) -> usize {
        self.holds().filter(|hold| hold.job == job && hold.stage == Stage::Running).count()
    }

    pub(crate) fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.workers.iter().flat_map(|worker| &worker.holds)
    }

    /// Every job with its record and the truth about it.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = (u8, &Record, &Truth)> {
        (0..).zip(&self.store.jobs).zip(&self.truth).map(|((job, record), truth)| (job, record, truth))
    }
}

impl Faults {
    pub(crate) fn times(self, times: u8) -> Self {
        let Self { kills, silences, shutdowns, answers, tails } = self;
        Self {
            kills: kills * times,
            silences: silences * times,
            shutdowns: shutdowns * times,
            answers: answers * times,
            tails: tails * times,
        }
    }
}

impl Default for Record {
    /// A job that was accepted just now.
    fn default() -> Self {
        Self {
            standing: Some(Standing::Queued),
            counters: Counters::default(),
            token: None,
            worker: None,
            begun: Begun::No,
            over: false,
            open: None,
            spent: 0,
            ends: 0,
        }
    }
}

impl Record {
    pub(crate) fn is(&self, standing: Standing) -> bool {
        self.standing == Some(standing)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.standing.is_some_and(Standing::is_terminal)
    }
}

impl Worker {
    pub(crate) fn take(&mut self, hold: Hold) {
        self.holds.push(hold);
        self.holds.sort_unstable_by_key(|hold| (hold.job, hold.lease));
    }

    /// Puts a lease out of its hands; with the last, a worker that leaves has left, and starts again.
    pub(crate) fn drop(&mut self, job: u8, lease: u8) {
        self.holds.retain(|hold| (hold.job, hold.lease) != (job, lease));
        self.leaves &= !self.holds.is_empty();
    }
}
