//! Real parts for tests, which start in a moment, stay out of each other's way, and end by themselves.
//!
//! * [`redis_server`]: a `redis-server` of one's own
//! * [`proxy`]: the faults of a network, between programs and a server
//! * [`sentinel`], [`cluster`]: several of them together, as they are run where none may be missed
//! * [`mod@worker`]: a worker process, and the moments it tells of in its log
//! * [`catalogue`]: the guests of `tests/guests`, each with what must become of it
//! * [`wait_until`]: waiting for something, with a deadline and never a bare sleep
//!
//! What a test needs and the machine does not have is a panic that says what to install: a test that is skipped in
//! silence proves nothing.

pub mod catalogue;
pub mod cluster;
pub mod proxy;
pub mod redis_server;
pub mod sentinel;
pub mod worker;

use std::time::{Duration, Instant};

pub use cluster::RedisCluster;
pub use proxy::{Behaviour, Proxy};
pub use redis_server::RedisServer;
pub use sentinel::Sentinels;
pub use worker::{Event, Worker, worker};

/// How long a thing may take that normally takes no time: generous, because test machines are busy, and virtual ones
/// stand still for as long as twenty seconds now and then.
pub const SOON: Duration = Duration::from_secs(60);

/// Asks `condition` again and again until it holds; answers whether it did within `deadline`.
#[must_use = "a wait that ran out is a failure of the test"]
pub fn wait_until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
