//! What is Redis's alone: outages, refusals, wake-ups, workers of two versions, and producers in other languages. What every broker promises is
//! proved by the conformance suite.

mod cluster;
mod fleet;
mod leasing;
mod outages;
mod producers;
mod refusals;
mod rights;
mod sentinel;
mod short;
mod slow;
mod tls;
mod versions;
mod waking;

use std::time::Duration;

use afresh_harness::RedisServer;
use afresh_protocol::OutcomeKind;
use afresh_queue::redis::RedisBroker;
use afresh_queue::{Clock, Lease, LeaseRequest, Settle, Settlement, Written};

const LEASE: Duration = Duration::from_secs(30);

fn broker(server: &RedisServer) -> RedisBroker {
    RedisBroker::new(&server.url(), Clock::Broker).expect("the harness's URL is one")
}

fn request(queue: &str, max: usize) -> LeaseRequest {
    LeaseRequest {
        queues: vec![queue.to_owned()],
        max,
        begin: max,
        max_bytes: usize::MAX,
        worker: "w1".to_owned(),
        duration: LEASE,
    }
}

/// The keys in which records are.
fn records(server: &RedisServer) -> Vec<String> {
    let is_one = |key: &&str| [":job:", ":short", ":leased", ":ended"].iter().any(|part| key.contains(part));
    let keys = server.command("KEYS afresh:*");
    let mut keys: Vec<_> = keys.lines().filter(is_one).map(str::to_owned).collect();
    keys.sort();
    keys
}

fn settle(lease: &Lease, settlement: Settlement) -> Settle {
    Settle {
        lease: lease.reference(),
        settlement,
        counters: lease.job.counters,
        history: Written::default(),
        outcome: OutcomeKind::Succeeded,
        jobs: Vec::new(),
    }
}

fn complete(lease: &Lease) -> Settle {
    settle(lease, Settlement::Complete { reply: b"done".to_vec(), keep: Duration::from_secs(60) })
}
