//! Tasks that read their JSON and do nothing: `noop` answers nothing, as the no-op tasks of other queues do, and `clock`
//! answers when it ran.

use std::time::{SystemTime, UNIX_EPOCH};

use afresh::task;
use serde::Deserialize;

/// With a text of 81 characters and a number of 6 digits it is a payload of 100 bytes.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is read, and nothing is done with it")]
struct Job {
    n: u64,
    x: String,
}

// So little memory that 256 slots fit into any budget.
#[task(memory = "16MiB")]
fn noop(_: Job) {}

/// Microseconds since 1970.
#[task(memory = "16MiB")]
fn clock(_: Job) -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

fn main() {
    afresh::run!(noop, clock)
}
