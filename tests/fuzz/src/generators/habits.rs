//! Task modules with habits, good and bad ones, for histories of many jobs.

/// A task module: its name, and its text.
pub type Habit = (&'static str, &'static str);

/// Every habit. The names are those of the tasks.
pub const ALL: [Habit; 9] = [
    (
        "reply",
        r#"(module (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "done")
        (func (export "_start") (call $reply (i32.const 0) (i32.const 4))))"#,
    ),
    (
        "fail",
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 1))))"#,
    ),
    (
        "reject",
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 65))))"#,
    ),
    (
        "snooze",
        r#"(module (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
        (memory (export "memory") 1) (func (export "_start") (call $verdict (i32.const 3) (i64.const 1))))"#,
    ),
    ("trap", r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#),
    ("spin", r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#),
    (
        "bomb",
        r#"(module (memory (export "memory") 1) (func (export "_start")
        (loop (if (i32.eq (memory.grow (i32.const 4)) (i32.const -1)) (then unreachable)) (br 0))))"#,
    ),
    // Parked for two milliseconds, as a guest is that waits for something.
    (
        "sleep",
        r#"(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
          (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 2000000))
          (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#,
    ),
    (
        "enqueue",
        r#"(module (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
        (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "{\"task\":\"reply\",\"queue\":\"default\"}")
        (func (export "_start")
          (call $log (i32.const 1) (i32.const 0) (i32.const 34))
          (drop (call $enqueue (i32.const 0) (i32.const 34) (i32.const 0) (i32.const 4)))))"#,
    ),
];
