//! The tasks of the load, in WebAssembly text: each with one habit, and each with a reply that no other run of it gives, so
//! that a reply tells which attempt was settled.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Succeeds at once.
    Quick,
    /// Fails at its first attempt, and only then.
    Flaky,
    /// Is rejected for good.
    Rejected,
    /// Traps, whenever it is tried.
    Trapped,
    /// Takes half a second.
    Slow,
    /// Sleeps longer than a lease.
    Sleeper,
}

impl Task {
    pub const ALL: [Self; 6] = [Self::Quick, Self::Flaky, Self::Rejected, Self::Trapped, Self::Slow, Self::Sleeper];

    /// One at random: mostly quick ones, and so few long ones that they leave slots for the others.
    pub fn any(random: &mut StdRng) -> Self {
        match random.random_range(0..10_000) {
            0..5 => Self::Sleeper,
            5..25 => Self::Slow,
            25..125 => Self::Trapped,
            125..275 => Self::Rejected,
            275..800 => Self::Flaky,
            _ => Self::Quick,
        }
    }

    /// What its attempt of this number comes to where nothing disturbs it.
    pub fn fate(self, attempt: u32) -> &'static str {
        match self {
            Self::Flaky if attempt == 1 => "failed",
            Self::Quick | Self::Flaky | Self::Slow | Self::Sleeper => "succeeded",
            Self::Rejected => "rejected",
            Self::Trapped => "trapped",
        }
    }

    fn text(self) -> String {
        match self {
            Self::Quick => module(REPLY),
            Self::Flaky => module(&format!("{FAIL_AT_FIRST} {REPLY}")),
            Self::Rejected => module("(call $exit (i32.const 65))"),
            Self::Trapped => module("unreachable"),
            Self::Slow => module(&format!("{} {REPLY}", sleep(500))),
            Self::Sleeper => module(&format!("{} {REPLY}", sleep(4_000))),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Quick => "quick",
            Self::Flaky => "flaky",
            Self::Rejected => "rejected",
            Self::Trapped => "trapped",
            Self::Slow => "slow",
            Self::Sleeper => "sleeper",
        })
    }
}

/// Writes all of them into this folder, as a worker's tasks.
///
/// # Errors
/// If they cannot be written.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for task in Task::ALL {
        let wasm = wat::parse_str(task.text()).with_context(|| format!("failed to assemble {task}"))?;
        std::fs::write(folder.join(format!("{task}.wasm")), wasm)?;
    }
    Ok(())
}

/// Replies with 20 random letters.
const REPLY: &str = "
    (drop (call $random (i32.const 1024) (i32.const 20)))
    (local.set $at (i32.const 1024))
    (loop $letter
        (i32.store8 (local.get $at) (i32.add (i32.const 97) (i32.and (i32.load8_u (local.get $at)) (i32.const 15))))
        (br_if $letter (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 1044))))
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 20))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))";

/// Exits with 3 if a variable is `AFRESH_ATTEMPT=1`: the pointers to all of them are at 4096, what they point to at 8192.
const FAIL_AT_FIRST: &str = r#"
    (drop (call $counts (i32.const 16) (i32.const 20)))
    (drop (call $environ (i32.const 4096) (i32.const 8192)))
    (local.set $end (i32.add (i32.const 4096) (i32.shl (i32.load (i32.const 16)) (i32.const 2))))
    (local.set $at (i32.const 4096))
    (loop $variable
        (local.set $text (i32.load (local.get $at)))
        (if (i32.and
                (i32.and
                    (i64.eq (i64.load (local.get $text)) (i64.load (i32.const 256)))
                    (i64.eq (i64.load offset=8 (local.get $text)) (i64.load offset=8 (i32.const 256))))
                (i32.eqz (i32.load8_u offset=16 (local.get $text))))
            (then (call $exit (i32.const 3))))
        (br_if $variable (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))"#;

fn sleep(millis: u64) -> String {
    format!(
        "(i32.store (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (i64.const {}))
        (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8)))",
        millis * 1_000_000
    )
}

fn module(body: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $counts (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 256) "AFRESH_ATTEMPT=1")
        (func (export "_start") (local $at i32) (local $end i32) (local $text i32) {body}))"#
    )
}
