//! Whatever a guest, a module or a file calls itself or says: nothing of it acts on the terminal of the person who looks.
//!
//! Only a reply that goes to a file or another program is passed on as it is: it is data.

use std::process::{Command, Output};

use afresh_protocol::text::acts_on_a_terminal;
use afresh_queue::NewJob;

use crate::guests;
use crate::site::{Site, hasty};

/// Colours, a link, the clipboard, a bell, a carriage return, NUL, DEL, backspace, a C1 control, marks that turn the text
/// round, spaces of no width, a tag, and bytes that are no text: as the text format of WebAssembly writes them.
const NASTY: &str = "\\1b[31m\\1b]8;;http://x\\07\\1b]52;c;aGk=\\07\\0d\\00\\7f\\08\\c2\\9b2J\\e2\\80\\ae\\e2\\81\\a6\
    \\e2\\80\\8b\\ef\\bb\\bf\\f3\\a0\\81\\81\\ff\\fe";

/// Bytes of it.
const NASTY_BYTES: usize = 57;

/// The same where only text may stand: names in a module, and of a file.
const NASTY_NAME: &str = "\u{1b}[31m\u{1b}]52;c;aGk=\u{7}\r\n\t\u{7f}\u{9b}2J\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}";

/// Says it in every way a guest has, then gives this verdict; 0 is none.
fn speaker(verdict: u32) -> String {
    let verdict = match verdict {
        0 => String::new(),
        verdict => format!("(call $verdict (i32.const {verdict}) (i64.const -1))"),
    };
    let spec = serde_json::json!({ "task": "later", "key": NASTY_NAME }).to_string();
    let (spec, spec_bytes) = (quoted(&spec), spec.len());
    format!(
        r#"(module
        (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
        (import "afresh_v1" "error_write" (func $error (param i32 i32)))
        (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
        (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
        (import "afresh_v1" "progress" (func $progress (param f64)))
        (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 20)
        (data (i32.const 0) "\40\00\00\00\39\00\00\00")
        (data (i32.const 64) "{NASTY}")
        (data (i32.const 512) "{spec}")
        (func (export "_start")
            (call $progress (f64.const 0.5))
            (call $log (i32.const 2) (i32.const 64) (i32.const {NASTY_BYTES}))
            ;; A line of a megabyte that ends in it, and one that has no end.
            (memory.fill (i32.const 65536) (i32.const 120) (i32.const 1000000))
            (memory.copy (i32.const 1065536) (i32.const 64) (i32.const {NASTY_BYTES}))
            (memory.copy (i32.const 65536) (i32.const 64) (i32.const {NASTY_BYTES}))
            (call $log (i32.const 99) (i32.const 65536) (i32.const 1000057))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 32)))
            (drop (call $enqueue (i32.const 512) (i32.const {spec_bytes}) (i32.const 64) (i32.const {NASTY_BYTES})))
            (call $reply (i32.const 64) (i32.const {NASTY_BYTES}))
            (call $error (i32.const 64) (i32.const {NASTY_BYTES}))
            {verdict}))"#
    )
}

/// A plain command whose last words are this, before it traps.
fn last_words() -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\40\00\00\00\39\00\00\00")
        (data (i32.const 64) "{NASTY}")
        (func (export "_start") (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 32))) unreachable))"#
    )
}

/// A name as the text format writes it.
fn quoted(name: &str) -> String {
    name.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

#[test]
fn nothing_a_guest_or_a_module_says_acts_on_a_terminal() {
    let site = Site::sqlite();
    for (task, text) in
        [("good", speaker(0)), ("failed", speaker(1)), ("panicked", speaker(4)), ("words", last_words())]
    {
        site.task(task, &text);
    }
    let name = quoted(NASTY_NAME);
    let memory = r#"(memory (export "memory") 1) (func (export "_start"))"#;
    site.task("exports", &format!(r#"(module {memory} (global (export "{name}") i32 (i32.const 0)))"#));
    for (file, text) in [
        ("imports", format!(r#"(module (import "{name}" "{name}" (func)) {memory})"#)),
        ("version", format!(r#"(module (import "afresh_v{name}" "x" (func)) {memory})"#)),
        ("tasks", format!(r#"(module (@custom "afresh.tasks" "{{\22task\22:\22{name}\22}}") {memory})"#)),
        ("fields", format!(r#"(module (@custom "afresh.tasks" "{{\22{name}\22:1}}") {memory})"#)),
    ] {
        site.task(file, &text);
    }
    let odd = format!("tasks/{}.wasm", NASTY_NAME.replace('/', ""));
    site.module(&odd, &guests::wasm(&guests::echo()));
    site.module(&format!("tasks/bad{NASTY_NAME}.wasm"), b"(module)");
    site.config("[limits]\nwaits = 0\n[tasks.good]\nenqueue = [\"default\"]\n");

    let tasks = ["good", "failed", "panicked", "words", "imports", "tasks", "later"];
    let ids = tasks.map(|task| site.enqueue(NewJob::new(task, NASTY_NAME).options(hasty(1))));
    let id = |n: usize| ids[n].as_str();
    let worker = site.seen(&["worker", "--tasks", "tasks", "--burst", "-v"]);
    assert!(worker.contains("attempt finished") && worker.contains("guest: "), "{worker}");
    assert!(worker.contains("module refused") && worker.contains("module loaded"), "{worker}");

    for n in 0..tasks.len() {
        site.seen(&["job", "show", id(n)]);
        site.seen(&["job", "show", id(n), "--json"]);
        site.seen(&["job", "log", id(n)]);
        site.seen(&["job", "log", id(n), "--json"]);
        site.seen(&["dead", "show", id(n)]);
        site.seen(&["job", "cancel", id(n)]);
    }
    for verb in [
        &["job", "ls"][..],
        &["job", "ls", "--json"],
        &["dead", "ls"],
        &["dead", "ls", "--group"],
        &["dead", "ls", "--group", "--json"],
        &["dead", "ls", "--search", "31m"],
        &["queue", "ls"],
        &["queue", "show", "default"],
        &["queue", "show", NASTY_NAME],
        &["batch", "ls"],
        &["cron", "ls"],
        &["cron", "show", NASTY_NAME],
        &["cron", "add", NASTY_NAME, "* * * * *", "later"],
        &["limit", "ls"],
        &["workers"],
        &["workers", "--json"],
        &["job", "show", NASTY_NAME],
        &["enqueue", NASTY_NAME],
        &["enqueue", "later", "--key", NASTY_NAME],
        &["enqueue", "later", "--queue", NASTY_NAME],
        &["doctor"],
        &["run", "tasks/good.wasm", NASTY_NAME, NASTY_NAME],
    ] {
        site.seen(verb);
    }
    for module in ["good", "failed", "panicked", "words", "exports", "imports", "version", "tasks", "fields"] {
        let file = format!("tasks/{module}.wasm");
        site.seen(&["inspect", &file]);
        site.seen(&["inspect", &file, "--json"]);
        site.seen(&["run", &file, "--report"]);
        site.stderr_seen(&["run", &file]);
    }
    for file in [odd.as_str(), "no-such-\u{1b}[31m-file.wasm"] {
        site.seen(&["inspect", file]);
        site.stderr_seen(&["run", file]);
    }

    let _worker = site.worker().start();
    for task in ["good", "failed", "panicked", "words"] {
        site.stderr_seen(&["enqueue", task, "--wait", "--max-attempts", "1"]);
        site.seen(&["enqueue", task, "--wait", "--max-attempts", "1", "--json"]);
    }
    let raw = site.afresh(&["job", "result", id(0)]).stdout;
    assert_eq!(raw.len(), NASTY_BYTES, "a reply is data, and arrives as it is");
}

impl Site {
    fn afresh(&self, arguments: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_afresh"));
        program.args(arguments).args(["--broker", &self.url]).current_dir(self.folder.path());
        program.output().unwrap()
    }

    /// What a person sees of this call, which may fail: nothing in it acts on a terminal.
    #[track_caller]
    fn seen(&self, arguments: &[&str]) -> String {
        let output = self.afresh(arguments);
        harmless(arguments, &output.stdout) + &harmless(arguments, &output.stderr)
    }

    /// The same for a call whose standard output is a task's reply.
    #[track_caller]
    fn stderr_seen(&self, arguments: &[&str]) {
        harmless(arguments, &self.afresh(arguments).stderr);
    }
}

#[track_caller]
fn harmless(arguments: &[&str], text: &[u8]) -> String {
    let text = std::str::from_utf8(text).unwrap_or_else(|error| panic!("{arguments:?} prints no text: {error}"));
    let acts = text.split('\n').find(|line| line.chars().any(|c| acts_on_a_terminal(c) && c != '\t'));
    assert!(acts.is_none(), "{arguments:?} shows {:?}", acts.unwrap_or_default());
    text.to_owned()
}
