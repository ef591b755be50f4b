//! Guests that mean harm, as an operator would meet them: in a real worker, on a real broker.
//!
//! * `walk`: every guest of `tests/guests/hostile`, one after the other, and what worker and broker felt of it
//! * `budget`: guests that want more memory together than there is
//! * `terminal`: what people see of it
//! * `page`: what is written of it
//! * `felt`, `cgroup`: what a worker takes of its machine, and a limit on that

mod budget;
mod cgroup;
mod felt;
#[path = "../worker/guests.rs"]
#[expect(dead_code, reason = "the tests of the worker use all of it")]
mod guests;
mod page;
#[path = "../worker/site.rs"]
#[expect(dead_code, reason = "the tests of the worker use all of it")]
mod site;
mod terminal;
mod walk;
