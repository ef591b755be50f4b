//! What can be done to workers, network and store, and what each of it may be the cause of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ledger::Us;
use crate::store::StoreKind;

/// Something that was done, or happened, at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: Kind,
    pub from: Us,
    pub until: Us,
    /// The start of a worker process that it hit; `None` is all of them.
    pub life: Option<usize>,
    /// How long before it a write may have been acknowledged, and be lost with it.
    #[serde(default)]
    pub tail: Us,
}

impl Fault {
    /// Whether an attempt can have come to this by it. A shutdown that took longer than it may has found a machine, or a store,
    /// that did not get on: then what was on its way back may have come too late.
    pub fn is_why(&self, outcome: &str) -> bool {
        let too_long = match self.kind {
            Kind::WorkerTerminated => self.until - self.from > A_SHUTDOWN,
            Kind::FleetRestarted => self.until - self.from > 3 * A_SHUTDOWN,
            _ => false,
        };
        self.kind.is_why(outcome) || outcome == "lost" && too_long
    }
}

/// How long a worker may take to end: a second of patience, and as long as its leases last.
const A_SHUTDOWN: Us = 4_000_000;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// SIGKILL of a worker.
    WorkerKilled,
    /// SIGKILL of all of them at once.
    FleetKilled,
    /// SIGSTOP of a worker for longer than a lease, then SIGCONT: a zombie comes back.
    WorkerStopped,
    /// SIGTERM of a worker.
    WorkerTerminated,
    /// SIGTERM of one worker after the other, as a deploy does.
    FleetRestarted,
    /// SIGKILL of the store's server, and its start again.
    StoreKilled,
    /// SIGSTOP of the server, then SIGCONT.
    StoreStopped,
    /// `CLIENT PAUSE`.
    StorePaused,
    /// `CLIENT KILL TYPE normal`.
    ClientsKilled,
    /// `CONFIG SET maxmemory`, to less than is used.
    MemoryFull,
    /// A snapshot that cannot be written: MISCONF.
    DiskFull,
    /// `SCRIPT FLUSH`.
    ScriptsForgotten,
    /// The replica is promoted once it has everything.
    FailoverPlanned,
    /// SIGKILL of the primary; the replica is promoted with what it has.
    FailoverSudden,
    /// The connections of one worker are cut.
    LinkCut,
    /// What a worker and the store say to each other comes late.
    LinkSlow,
    /// A worker's connections break off in the middle of an answer.
    LinkTorn,
    /// A worker and the store do not hear each other, for longer than a lease.
    LinkSilent,
    /// None of the workers hears the store.
    AllSilent,
    /// A worker is started with a clock that is 30 s early or late.
    ClockSkewed,
    /// Nobody's doing: this machine stood still, or the store did not answer for as long.
    Stall,
}

impl Fault {
    /// Whether it is reason enough that all stood still at that time.
    pub fn hides(&self, stall: &Self) -> bool {
        self.life.is_none() && self.from <= stall.until && stall.from <= self.until
    }
}

impl Kind {
    /// What may be done to workers of a store in a file.
    pub const EMBEDDED: [(Self, u32); 5] = [
        (Self::WorkerKilled, 4),
        (Self::FleetKilled, 1),
        (Self::WorkerStopped, 3),
        (Self::WorkerTerminated, 3),
        (Self::FleetRestarted, 1),
    ];

    /// What may be done where the store is a server, each with its weight.
    pub const SERVER: [(Self, u32); 19] = [
        (Self::WorkerKilled, 6),
        (Self::FleetKilled, 2),
        (Self::WorkerStopped, 5),
        (Self::WorkerTerminated, 4),
        (Self::FleetRestarted, 1),
        (Self::StoreKilled, 4),
        (Self::StoreStopped, 2),
        (Self::StorePaused, 2),
        (Self::ClientsKilled, 3),
        (Self::MemoryFull, 2),
        (Self::DiskFull, 2),
        (Self::ScriptsForgotten, 2),
        (Self::FailoverPlanned, 2),
        (Self::FailoverSudden, 2),
        (Self::LinkCut, 3),
        (Self::LinkSlow, 2),
        (Self::LinkTorn, 3),
        (Self::LinkSilent, 3),
        (Self::AllSilent, 2),
    ];

    /// How long before it a write may have been acknowledged by this store, and be lost with it.
    ///
    /// * A replica that takes over has what it was sent, which is moments ago.
    /// * With `everysec` Redis answers before it writes while a sync of its log is under way, for up to two seconds by a clock
    ///   of whole ones: even a killed process may have acknowledged what it had not even given to the kernel.
    pub fn tail(self, store: StoreKind) -> Us {
        match (self, store) {
            (Self::FailoverSudden, _) => 1_000_000,
            (Self::StoreKilled, StoreKind::RedisEverysec) => 3_000_000,
            _ => 0,
        }
    }

    /// Whether it is somebody's doing, at a time: a clock is bent from the start, and a stall comes by itself.
    pub fn is_done(self) -> bool {
        !matches!(self, Self::Stall | Self::ClockSkewed)
    }

    /// How long after its end what begins may still come to nothing by it.
    ///
    /// * On a dead process nothing begins, and one that was asked to end begins nothing either.
    /// * What was held back is delivered when the fault is over: calls whose callers have long given up are carried out, one
    ///   after the other, and the leases that they take are nobody's.
    /// * Otherwise an answer is lost, and the lease that it would have brought: that ends by itself.
    pub fn aftermath(self) -> Us {
        match self {
            Self::WorkerKilled | Self::FleetKilled | Self::WorkerTerminated | Self::FleetRestarted => 0,
            Self::StoreStopped | Self::StorePaused | Self::LinkSlow | Self::LinkSilent | Self::AllSilent => 10_000_000,
            _ => 4_500_000,
        }
    }

    /// `lost` by what keeps a lease from being extended, or its holder from settling; `interrupted` by a shutdown and by
    /// nothing else, which in turn loses nothing.
    fn is_why(self, outcome: &str) -> bool {
        match self {
            Self::ScriptsForgotten | Self::MemoryFull | Self::ClockSkewed => false,
            Self::WorkerTerminated | Self::FleetRestarted => outcome == "interrupted",
            _ => outcome == "lost",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WorkerKilled => "worker killed",
            Self::FleetKilled => "all workers killed",
            Self::WorkerStopped => "worker stopped longer than a lease",
            Self::WorkerTerminated => "worker asked to end",
            Self::FleetRestarted => "workers restarted in turn",
            Self::StoreKilled => "Redis killed and restarted",
            Self::StoreStopped => "Redis stopped",
            Self::StorePaused => "CLIENT PAUSE",
            Self::ClientsKilled => "CLIENT KILL",
            Self::MemoryFull => "maxmemory reached",
            Self::DiskFull => "disk cannot be written (MISCONF)",
            Self::ScriptsForgotten => "SCRIPT FLUSH",
            Self::FailoverPlanned => "failover, planned",
            Self::FailoverSudden => "failover, primary killed",
            Self::LinkCut => "worker's connections cut",
            Self::LinkSlow => "worker's connections slow",
            Self::LinkTorn => "answer broken off in the middle",
            Self::LinkSilent => "worker cut off longer than a lease",
            Self::AllSilent => "all workers cut off",
            Self::ClockSkewed => "worker's clock off by 30 s",
            Self::Stall => "(the machine or its disk stood still)",
        })
    }
}
