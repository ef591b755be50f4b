//! Task modules in WebAssembly text, each with one habit. Plain commands, unless they are for the SDK's way to fail.

/// Replies with these words.
pub(crate) fn reply(words: &str) -> String {
    command(&format!(r#"(data (i32.const 1024) "{words}")"#), &write(1, words.len()))
}

/// Replies with its payload, up to 60,000 bytes.
pub(crate) fn echo() -> String {
    let body = "(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 60000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))";
    command("", body)
}

/// Sleeps so many milliseconds, then replies with these words.
pub(crate) fn nap(millis: u64, words: &str) -> String {
    let body = format!(
        "(i32.store (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (i64.const {}))
        (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8))) {}",
        millis * 1_000_000,
        write(1, words.len())
    );
    command(&format!(r#"(data (i32.const 1024) "{words}")"#), &body)
}

/// Never ends by itself.
pub(crate) fn spin() -> String {
    command("", "(loop $again (br $again))")
}

/// Says these words on stderr and leaves with this code.
pub(crate) fn leave(code: i32, words: &str) -> String {
    let body = format!("{} (call $exit (i32.const {code}))", write(2, words.len()));
    command(&format!(r#"(data (i32.const 1024) "{words}")"#), &body)
}

/// Takes so many pages of 64 KiB at once and touches all of them, then traps; traps at once where it does not get them.
pub(crate) fn hoard(pages: u32) -> String {
    let body = format!(
        "(local $at i32)
        (if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))
        (local.set $at (i32.const 65536))
        (loop $more
            (i32.store (local.get $at) (i32.const 7))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if $more (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
        unreachable"
    );
    command("", &body)
}

/// Writes so many times 32 KiB to this descriptor, then leaves with this code.
pub(crate) fn pour(descriptor: u32, times: u32, code: i32) -> String {
    let body = format!(
        "(local $left i32) (local.set $left (i32.const {times}))
        (loop $more {}
            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $exit (i32.const {code}))",
        write(descriptor, 32 * 1024)
    );
    command("", &body)
}

/// An SDK module that gives this verdict (a number of the ABI) and an error text of so many bytes.
pub(crate) fn verdict(verdict: i32, bytes: u32) -> String {
    format!(
        r#"(module
        (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
        (import "afresh_v1" "error_write" (func $error (param i32 i32)))
        (memory (export "memory") {})
        (func (export "_start")
            (memory.fill (i32.const 0) (i32.const 120) (i32.const {bytes}))
            (call $verdict (i32.const {verdict}) (i64.const -1))
            (call $error (i32.const 0) (i32.const {bytes}))))"#,
        bytes / 65_536 + 1
    )
}

/// An SDK module that declares these tasks (one JSON object a line), each of which never ends.
pub(crate) fn endless(tasks: &str) -> String {
    format!(
        r#"(module (@custom "afresh.tasks" "{}")
        (import "afresh_v1" "progress" (func $progress (param f64)))
        (memory (export "memory") 1)
        (func (export "_start") (loop $again (br $again))))"#,
        tasks.replace('"', "\\22").replace('\n', "\\0a")
    )
}

/// Imports what no host has.
pub(crate) fn strange_import() -> String {
    r#"(module (import "env" "open_the_door" (func)) (memory (export "memory") 1) (func (export "_start")))"#.to_owned()
}

/// The module that a text stands for.
pub(crate) fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a guest of the tests is WebAssembly")
}

fn command(data: &str, body: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        {data}
        (func (export "_start") {body}))"#
    )
}

/// Writes so many bytes from 1024 on to a descriptor.
fn write(descriptor: u32, bytes: usize) -> String {
    format!(
        "(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const {bytes}))
        (drop (call $write (i32.const {descriptor}) (i32.const 0) (i32.const 1) (i32.const 8)))"
    )
}
