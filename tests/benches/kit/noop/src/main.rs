//! Two tasks that read their JSON and do nothing: `noop` answers nothing, as the no-op tasks of other queues do, and
//! `echo` answers what it was given.

use afresh::task;
use serde::{Deserialize, Serialize};

/// With a text of 80 characters and a number of 6 digits it is a payload of 100 bytes.
#[derive(Deserialize, Serialize)]
struct Job {
    n: u64,
    x: String,
}

#[task]
fn noop(_: Job) {}

#[task]
fn echo(job: Job) -> Job {
    job
}

fn main() {
    afresh::run!(noop, echo)
}
