//! Jobs, leases and brokers. Nothing here knows what runs a job: to this crate an outcome is data.
//!
//! * [`job`], [`state`]: a request to run a task, the JSON that people see, and where it stands
//! * [`history`]: the bounded record of a job's attempts
//! * [`fingerprint`]: what failures have in common
//! * [`lease`]: the right to run a job until an instant, fenced by a token (`tokens`)
//! * [`unique`]: unique jobs
//! * [`chain`], [`batch`]: jobs that follow others, and jobs that belong together
//! * [`log`]: the bounded record of what a job's attempts logged
//! * [`policy`]: outcome and counters in, [`Settlement`] out; pure
//! * [`broker`]: the one trait everything goes through, and [`Inspect`] for people and screens
//! * [`control`]: what holds jobs back: limits, pauses, and keys that take turns
//! * [`flow`]: what becomes of batches
//! * [`cron`], [`schedule`]: periodic jobs, and when they are due
//! * [`fleet`]: who works, and on what
//! * [`checkup`]: what a person should know of a broker
//! * [`clock`]: where *now* comes from
//! * [`url`]: where a broker is, and [`open`], which makes one of its URL
//! * [`sqlite`]: the embedded broker
//! * [`redis`]: the broker for production and for more than one machine
//! * [`client`]: what a producer uses
//! * [`watch`]: waiting for a job, and seeing what it does meanwhile

pub mod batch;
pub mod broker;
pub mod chain;
pub mod checkup;
pub mod client;
pub mod clock;
pub mod control;
pub mod cron;
pub mod fingerprint;
pub mod fleet;
pub mod flow;
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
pub mod job;
pub mod lease;
pub mod log;
pub mod policy;
pub mod redis;
pub mod schedule;
pub mod sqlite;
pub mod state;
#[doc(hidden)]
pub mod steps;
mod tokens;
pub mod unique;
pub mod url;
pub mod watch;

pub use batch::{Batch, Member};
pub use broker::{
    Broker, BrokerError, Cancelled, Enqueued, Failures, Inspect, JobFilter, Note, Promoted, QueueCounts, Retention,
    Settle, Settled, Waited,
};
pub use chain::Link;
pub use checkup::{Checkup, Finding, Level};
pub use client::Client;
pub use clock::{Clock, Timestamp};
pub use control::{Control, Limit, QueueRules, Rate, Rule, Scope};
pub use cron::{Cron, CronView, Crons, Missed};
pub use fleet::{Fleet, RunningJob, WorkerInfo, WorkerView};
pub use flow::{BatchCancelled, BatchJob, BatchState, BatchView, Flows};
pub use history::{AttemptRecord, History, Written};
pub use job::{Job, JobId, JobOptions, JobView, NewJob};
pub use lease::{Beat, Begun, Extended, Lease, LeaseRef, LeaseRequest, Vanished};
pub use log::{JobLog, LoggedLine};
pub use policy::{Counters, RetryPolicy, Settlement, is_failure};
pub use schedule::Schedule;
pub use state::State;
pub use unique::{Unique, UniqueScope};
pub use url::{BrokerUrl, open};
pub use watch::{Finished, Moment, Watch};

/// The target of log lines of a library beneath, which tells each try that fails; what matters of that is in the errors.
pub const CHATTY: &str = "redis";
