//! The SDK for Afresh tasks: write a function, compile the program to `wasm32-wasip1`, and a host runs each attempt of
//! it in a fresh instance.
//!
//! ```no_run
//! use afresh::{Context, TaskError, task};
//!
//! #[derive(serde::Deserialize)]
//! struct Greet {
//!     name: String,
//! }
//!
//! #[task(max_attempts = 5, timeout = "30s", memory = "64MiB")]
//! fn greet(job: Greet, ctx: &Context) -> Result<String, TaskError> {
//!     ctx.info(format_args!("attempt {} of {}", ctx.attempt(), ctx.max_attempts()));
//!     if job.name.is_empty() {
//!         return Err(TaskError::reject("the name is empty"));
//!     }
//!     Ok(format!("Hello, {}!", job.name))
//! }
//!
//! fn main() {
//!     afresh::run!(greet) // several tasks: run!(greet, wave)
//! }
//! ```
//!
//! The attribute leaves the function as it is, so a test calls it natively:
//!
//! ```
//! # use afresh::{Context, task};
//! # struct Greet { name: String }
//! # fn greet(job: Greet, _: &Context) -> Result<String, afresh::TaskError> { Ok(format!("Hello, {}!", job.name)) }
//! let reply = greet(Greet { name: "Ada".into() }, &Context::test());
//! assert_eq!(reply.unwrap(), "Hello, Ada!");
//! ```
//!
//! # What goes in and what comes out
//!
//! The job may be anything that implements `serde::de::DeserializeOwned` (the payload is JSON), or a `Vec<u8>` (the
//! payload as it is). A payload that is not what the task expects is rejected with serde's message, and never retried.
//! The reply may be anything that implements `serde::Serialize` (it becomes JSON), a `Vec<u8>` (the bytes as they
//! are), `()` (no bytes), or a `Result` of one of these with any error that turns into a [`TaskError`].
//!
//! A test may also run a task as a host does, with bytes: [`TestContext::run`]. What the task logged and enqueued can be
//! asserted, and the test controls its clock, its deadline and the attempt's number: [`TestContext`].
//!
//! # Further jobs
//!
//! A task that finds more to do enqueues it: [`Context::enqueue`]. Those jobs become visible only if the attempt
//! succeeds, so a task may fail half way and be retried. The operator has to allow it.
//!
//! # On the laptop
//!
//! The same program runs without Wasm: `echo '{"name":"Ada"}' | cargo run` reads the payload from standard input and
//! writes the reply to standard output. `cargo run -- --help` lists the tasks with their policy.
//!
//! # Code map
//!
//! * `run`: what `main` does; the same on a laptop and in a host
//! * [`Context`]: what a task knows and says while it runs; [`TestContext`] for tests
//! * [`NewJob`], `enqueue`: how a task enqueues further jobs
//! * [`TaskError`]: how a task fails
//! * `codec`: payload in, reply out
//! * `stream`: text to the host in pieces, without allocating
//! * `host`: the host's functions; the raw imports are in `host/wasm.rs`, the laptop's stand-in in `host/native.rs`

mod codec;
mod context;
mod enqueue;
mod error;
mod host;
mod job;
mod run;
mod stream;
mod testing;

pub use afresh_macros::task;
pub use afresh_protocol::abi::{LogLevel, Refusal, Verdict};
pub use context::Context;
pub use error::TaskError;
pub use job::NewJob;
pub use testing::{Enqueued, TestContext};

/// What the macros write down in a task's program; not for anybody else.
#[doc(hidden)]
pub mod __private {
    pub use crate::codec::{Plain, Returned, decode};
    pub use crate::run::{Declared, Task, bytes, run, task};
}
