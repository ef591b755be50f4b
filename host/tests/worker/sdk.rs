//! Task modules that speak with the host as the SDK's do, each a list of steps:
//! `sdk::module(&[Log("begun"), Progress(0.5), Spin])`.

use std::fmt::Write as _;

/// What a module does, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// Logs a line.
    Log(&'a str),
    /// Logs this line so many times.
    Storm(u32, &'a str),
    /// Says how far it is.
    Progress(f64),
    /// Enqueues a job: a spec and a payload. Where the host does not take it, the task is rejected with `refused: N`.
    Enqueue(&'a str, &'a str),
    /// In a job's first attempt, fails.
    FailFirst,
    /// Fails.
    Fail,
    /// Sleeps so many milliseconds.
    Nap(u64),
    /// Never ends by itself.
    Spin,
    /// Writes these words into its reply.
    Reply(&'a str),
}

/// A module of these steps.
pub(crate) fn module(steps: &[Step<'_>]) -> String {
    let mut texts = Texts::default();
    let body: String = steps.iter().map(|step| step.code(&mut texts)).collect();
    format!(
        r#"(module
        (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
        (import "afresh_v1" "progress" (func $progress (param f64)))
        (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
        (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
        (import "afresh_v1" "error_write" (func $error (param i32 i32)))
        (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        {}
        (func (export "_start") (local $at i32) (local $left i32) (local $answer i32) {body}))"#,
        texts.data
    )
}

impl Step<'_> {
    fn code(self, texts: &mut Texts) -> String {
        match self {
            Self::Log(line) => format!("(call $log (i32.const 1) {})", texts.range(line)),
            Self::Storm(times, line) => format!(
                "(local.set $left (i32.const {times}))
                (loop $more (call $log (i32.const 1) {})
                    (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))",
                texts.range(line)
            ),
            Self::Progress(fraction) => format!("(call $progress (f64.const {fraction}))"),
            Self::Enqueue(spec, payload) => {
                let call = format!("(call $enqueue {} {})", texts.range(spec), texts.range(payload));
                let refused = texts.range("refused: 0");
                let digit = texts.end() - 1;
                format!(
                    "(local.set $answer {call})
                    (if (local.get $answer) (then
                        (i32.store8 (i32.const {digit}) (i32.add (local.get $answer) (i32.const 48)))
                        (call $verdict (i32.const 2) (i64.const -1)) (call $error {refused}) (return)))"
                )
            }
            // Finds AFRESH_ATTEMPT among the variables, and looks at the first digit of its value.
            Self::FailFirst => format!(
                "(drop (call $environ (i32.const 32768) (i32.const 40960)))
                (local.set $at (i32.const 32768))
                (loop $next (if (i64.ne (i64.load offset=7 (i32.load (local.get $at))) (i64.const {}))
                    (then (local.set $at (i32.add (local.get $at) (i32.const 4))) (br $next))))
                (if (i32.eq (i32.load8_u offset=15 (i32.load (local.get $at))) (i32.const 49)) (then {}))",
                u64::from_le_bytes(*b"ATTEMPT="),
                Self::Fail.code(texts)
            ),
            Self::Fail => format!(
                "(call $verdict (i32.const 1) (i64.const -1)) (call $error {}) (return)",
                texts.range("not this time")
            ),
            Self::Nap(millis) => format!(
                "(i32.store (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (i64.const {}))
                (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8)))",
                millis * 1_000_000
            ),
            Self::Spin => "(loop $again (br $again))".to_owned(),
            Self::Reply(words) => format!("(call $reply {})", texts.range(words)),
        }
    }
}

/// The texts of a module, one after the other in its memory.
#[derive(Default)]
struct Texts {
    data: String,
    bytes: usize,
}

impl Texts {
    /// Where the texts begin: below is what the steps work with.
    const FROM: usize = 1024;

    /// Adds a text; answers its place and its length, as a call takes them.
    fn range(&mut self, text: &str) -> String {
        let at = self.end();
        let escaped = text.replace('"', "\\22");
        let _ = write!(self.data, r#"(data (i32.const {at}) "{escaped}")"#);
        self.bytes += text.len();
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    fn end(&self) -> usize {
        Self::FROM + self.bytes
    }
}
