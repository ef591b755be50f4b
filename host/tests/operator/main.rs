//! The operator's verbs as a person meets them: the built program, on a SQLite file and on a real Redis.
//!
//! * `cli`: the program on a broker of its own, and a stand-in for its worker
//! * `enqueue`, `unique`, `jobs`, `limits`, `cron`, `dead`, `failures`: what the verbs do
//! * `batch`: chains and batches
//! * `workers`: who is alive
//! * `doctor`: what is wrong, and what to do
//! * `shell`: completions and the manual
//! * `wrong`: what they say when something is wrong

mod batch;
mod cli;
mod cron;
mod dead;
mod doctor;
mod enqueue;
mod failures;
mod jobs;
mod limits;
mod shell;
mod unique;
mod workers;
mod wrong;
