//! What the fuzzer's bytes become.
//!
//! * [`trial`]: all of an attempt but its module: payload, limits, whether and when it is cancelled
//! * [`imports`]: what a module may import
//! * [`program`]: a module with a program in it, out of random code and a [`script`] of host calls
//! * [`broken`]: a real module with a few bytes wrong
//! * [`interpreter`]: a guest that reads its payload as host calls
//! * [`history`], [`habits`]: what happens to a queue, and the tasks of its jobs
//! * [`task_call`]: a call of a task that runs natively and as a guest

pub mod broken;
pub mod habits;
pub mod history;
pub mod imports;
pub mod interpreter;
pub mod program;
pub mod script;
pub mod task_call;
pub mod trial;
