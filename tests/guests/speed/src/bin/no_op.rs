//! A task that does nothing: JSON in, the same JSON out.

use afresh::task;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Job {
    text: String,
}

#[task]
fn no_op(job: Job) -> Job {
    job
}

fn main() {
    afresh::run!(no_op)
}
