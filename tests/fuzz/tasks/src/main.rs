//! The tasks as a guest.

use fuzz_tasks::{bytes, echo, nothing, script, typed};

fn main() {
    afresh::run!(script, echo, typed, bytes, nothing)
}
