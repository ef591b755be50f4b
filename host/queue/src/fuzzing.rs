//! What the fuzz targets of this repository have to know of the inside. No part of the interface: it may change or go.

use std::time::Duration;

use crate::chain::{self, Link};
use crate::clock::Timestamp;
use crate::control::Scope;
use crate::cron::{self, Cron};
use crate::fleet::{self, Announced, WorkerView};
use crate::log::JobLog;

pub use crate::redis::fuzzing::*;

/// Reads what a broker keeps of a periodic job; answers it, and what it would be stored as again.
pub fn cron(bytes: &[u8]) -> Option<(Cron, Vec<u8>)> {
    let kept = cron::Kept::decode(bytes)?;
    let again = kept.encode();
    Some((kept.cron, again))
}

/// Reads what is to follow a job, as brokers store it.
pub fn chain(lines: &str) -> Vec<Link> {
    if let Some((_, rest)) = chain::split(lines) {
        chain::decode(rest);
    }
    chain::decode(lines)
}

/// What is to follow a job, as brokers store it.
pub fn chain_lines(then: &[Link]) -> String {
    chain::encode(then)
}

/// Reads a scope as brokers store it.
pub fn scope(name: &str) -> Option<Scope> {
    Scope::parse(name)
}

/// What a broker would store after it was given these lines.
pub fn append_log(log: &JobLog, stored: Vec<u8>) -> Vec<u8> {
    log.append_to(stored)
}

/// Reads what a worker said of itself.
pub fn workers(info: Vec<u8>) -> Vec<WorkerView> {
    let now = Timestamp::now();
    fleet::views([Announced { seen: now, until: now.after(Duration::from_secs(1)), info }], now)
}
