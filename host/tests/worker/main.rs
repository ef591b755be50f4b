//! The worker as a user would notice it: real processes on real brokers, killed, stopped and starved.
//!
//! * `site`: a broker, a folder of tasks and the workers on them; what every test has for itself
//! * `effects`: what a worker ran, even where it is dead
//! * `guests`: task modules in WebAssembly text, each with one habit
//! * `sdk`: task modules that speak as the SDK's do, each a list of steps
//! * `path`: jobs run, in order, at their time, once
//! * `vanish`: workers that are killed or come back from the dead
//! * `last`: last attempts that were lost before they began, `ahead` of the slots
//! * `steps`: workers that die at each step of a job's life, on a `stage` that accounts for every job
//! * `leave`: workers that are asked to end
//! * `outage`: Redis goes away, comes back, or takes no writes
//! * `failover`: Redis loses a server, and another takes its place
//! * `reload`: modules come, change and go while the worker runs
//! * `compile`: compile bombs (`bombs`), what compiling may take, and what is kept of it
//! * `refuse`: modules and settings that cannot be
//! * `flows`: chains and batches
//! * `walls`: limits, the memory budget, and the terms they come from
//! * `cancel`: jobs that a person ends
//! * `poison`: jobs that take their workers down
//! * `limits`: what limits and pauses hold back, on several workers together
//! * `talk`: what an attempt says while it runs
//! * `enqueue`: tasks that enqueue jobs
//! * `grants`: what tasks are granted
//! * `cron`: periodic jobs
//! * `expiry`: jobs that were not started in time
//! * `fleet`: what people see of workers
//! * `footprint`: what a worker takes while it has nothing to do, and after guests that failed

mod ahead;
mod bombs;
mod cancel;
mod compile;
mod cron;
mod effects;
mod enqueue;
mod expiry;
mod failover;
mod fleet;
mod flows;
mod footprint;
mod grants;
mod guests;
mod last;
mod leave;
mod limits;
mod outage;
mod path;
mod poison;
mod refuse;
mod reload;
mod sdk;
mod site;
mod stage;
mod steps;
mod talk;
mod vanish;
mod walls;
