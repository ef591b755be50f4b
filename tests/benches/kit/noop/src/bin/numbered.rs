//! The task `noop` once more, as the only one of its module and with a number in its name: whoever writes another number
//! over it has another module with another task.

use afresh::task;
use serde::Deserialize;

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is read, and nothing is done with it")]
struct Job {
    n: u64,
    x: String,
}

#[task(memory = "16MiB")]
fn noop_number_0000(_: Job) {}

fn main() {
    afresh::run!(noop_number_0000)
}
