//! The steps between which a process may die, for the tests that let it. No part of the interface: it may change or go.
//!
//! With the feature `steps`, a process ends by SIGKILL, its own, at the step that the variable `FAILPOINTS` names:
//! `FAILPOINTS='settled=return'`, or `'settled=2*off->return'` for the third time it comes there (the words are those of
//! the crate `fail`). Without the feature, which no shipped program has, there is nothing of this in it.

/// A step, and who comes there.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub on: On,
    /// What has happened by then, and what has not.
    pub happened: &'static str,
}

/// Which broker a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Any: the step is the worker's, or the command line's.
    Each,
    /// Redis, where a verb may take several calls.
    Redis,
    /// SQLite, where a verb is one transaction.
    Sqlite,
}

/// Every step, in the order of a job's life.
pub const ALL: [Step; 18] = [
    each("enqueued", "the broker has accepted the job; the producer has not been told"),
    each("promoted", "what was due has been made available; nothing was leased"),
    redis("cron-due", "a periodic job's time has come; its job has not been made"),
    redis("letter-taken", "a job was taken from the outbox; it is not in its queue"),
    redis("letter-brought", "a job from the outbox is in its queue; the outbox has not been told"),
    each("leased", "the broker has given leases; no slot has heard of them"),
    each("told", "the broker knows that a last attempt begins; its slot does not"),
    each("begun", "a slot has taken an attempt; the guest has not run"),
    each("run", "the guest has run; nobody but its slot knows"),
    each("decided", "what becomes of attempts is decided; it has not been sent"),
    redis("settled-half", "of a batch that takes several calls some are settled; the others have not been sent"),
    each("settled", "the broker has settled attempts; the worker has noted nothing"),
    each("extended", "the broker has extended leases; the worker has not looked at its answers"),
    each("reaped", "expired leases have been taken over; they are not settled as lost"),
    each("drained", "the shutdown has begun, and what no slot had taken is on its way back; attempts run"),
    each("interrupted", "the shutdown has interrupted attempts; they are not settled"),
    each("wound-down", "the last attempt is settled; the worker still counts as present"),
    sqlite("uncommitted", "a transaction has made its changes; it is not committed"),
];

const fn each(name: &'static str, happened: &'static str) -> Step {
    Step { name, on: On::Each, happened }
}

const fn redis(name: &'static str, happened: &'static str) -> Step {
    Step { name, on: On::Redis, happened }
}

const fn sqlite(name: &'static str, happened: &'static str) -> Step {
    Step { name, on: On::Sqlite, happened }
}

/// This step is reached: where a test has armed it, the process ends here.
#[cfg(feature = "steps")]
pub fn reached(step: &'static str) {
    static ARMED: std::sync::Once = std::sync::Once::new();

    debug_assert!(ALL.iter().any(|known| known.name == step), "{step} is not among the steps");
    // What is armed stays so for as long as the process lives.
    ARMED.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    fail::fail_point!(step, |_| die());
}

/// This step is reached: nothing, in a build without the feature `steps`.
#[cfg(not(feature = "steps"))]
#[inline]
pub fn reached(_: &'static str) {}

/// As the kernel would end it: nothing is flushed, dropped or told.
#[cfg(feature = "steps")]
fn die() {
    use rustix::process::{Signal, getpid, kill_process};

    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}
