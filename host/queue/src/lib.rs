//! Jobs, leases and brokers. Nothing here knows what runs a job: to this crate an outcome is data.
//!
//! * [`job`]: a request to run a task, its states, and the JSON that people see
//! * [`history`]: the bounded record of a job's attempts
//! * [`lease`]: the right to run a job until an instant, fenced by a token
//! * [`policy`]: outcome and counters in, [`Settlement`] out; pure
//! * [`broker`]: the one trait everything goes through, and [`Inspect`] for people and screens
//! * [`fleet`]: who works, and on what
//! * [`checkup`]: what a person should know of a broker
//! * [`clock`]: where *now* comes from
//! * [`url`]: where a broker is, and [`open`], which makes one of its URL
//! * [`sqlite`]: the embedded broker
//! * [`redis`]: the broker for production and for more than one machine
//! * [`client`]: what a producer uses

pub mod broker;
pub mod checkup;
pub mod client;
pub mod clock;
pub mod fleet;
pub mod history;
pub mod job;
pub mod lease;
pub mod policy;
pub mod redis;
pub mod sqlite;
pub mod url;

pub use broker::{Broker, BrokerError, Enqueued, Inspect, JobFilter, Promoted, QueueCounts, Settle, Settled};
pub use checkup::{Checkup, Finding, Level};
pub use client::{Client, Finished};
pub use clock::{Clock, Timestamp};
pub use fleet::{Fleet, RunningJob, WorkerInfo, WorkerView};
pub use history::{AttemptRecord, History};
pub use job::{Job, JobId, JobOptions, JobView, NewJob, State};
pub use lease::{Lease, LeaseRef, LeaseRequest};
pub use policy::{Counters, RetryPolicy, Settlement};
pub use url::{BrokerUrl, open};
