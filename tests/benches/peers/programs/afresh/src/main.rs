//! A task that reads its payload and does nothing.

use afresh::task;
use serde::Deserialize;

#[derive(Deserialize)]
struct Job {
    #[serde(rename = "n")]
    _number: u64,
    #[serde(rename = "x")]
    _text: String,
}

#[task]
fn noop(_: Job) {}

fn main() {
    afresh::run!(noop)
}
