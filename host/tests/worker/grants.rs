//! What tasks are granted: they have it, they have nothing else, it is gone with the attempt, and secrets are in nothing
//! that people or brokers keep.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use afresh_harness::{SOON, wait_until};
use afresh_queue::{JobId, NewJob};
use serde_json::Value;

use crate::guests::{endless, wasm};
use crate::site::{Site, hasty, on_each_broker, outcomes, timeout};

on_each_broker!(
    a_secret_is_in_nothing_that_is_kept_or_shown,
    a_scratch_folder_is_gone_before_its_attempt_is_settled,
    what_a_killed_worker_left_behind_is_removed_by_the_next,
);

/// What must not be seen anywhere but in the guest.
const SECRET: &str = "hunter22-correct-horse";

/// Functions for guests: `$say` writes to a descriptor in two pieces, of which the second has seven bytes.
const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    (func $piece (param $to i32) (param $at i32) (param $bytes i32)
        (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $bytes))
        (drop (call $write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func $say (param $to i32) (param $at i32) (param $bytes i32)
        (call $piece (local.get $to) (local.get $at) (i32.sub (local.get $bytes) (i32.const 7)))
        (call $piece (local.get $to)
            (i32.sub (i32.add (local.get $at) (local.get $bytes)) (i32.const 7)) (i32.const 7)))
    (func $variables (result i32)
        (drop (call $environ_sizes (i32.const 16) (i32.const 20)))
        (drop (call $environ (i32.const 64) (i32.const 4096)))
        (i32.sub (i32.load (i32.const 20)) (i32.const 1)))"#;

/// A plain command. Of its variables, the last is last in its memory, from 4096 on.
fn command(data: &str, body: &str) -> String {
    format!(r#"(module {IMPORTS} {data} (func (export "_start") (local $bytes i32) {body}))"#)
}

/// Replies with all its variables.
fn variables() -> String {
    command("", "(call $say (i32.const 1) (i32.const 4096) (call $variables))")
}

/// Says all its variables on stderr, and fails.
fn blurt() -> String {
    command("", "(call $say (i32.const 2) (i32.const 4096) (call $variables)) (call $exit (i32.const 3))")
}

/// Says all its variables in its log and in its error, in two pieces, and panics.
fn blurt_by_sdk() -> String {
    format!(
        r#"(module
        (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
        (import "afresh_v1" "error_write" (func $error (param i32 i32)))
        (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
        {IMPORTS}
        (func (export "_start") (local $bytes i32)
            (local.set $bytes (call $variables))
            (call $log (i32.const 1) (i32.const 4096) (local.get $bytes))
            (call $say (i32.const 1) (i32.const 4096) (local.get $bytes))
            (call $verdict (i32.const 4) (i64.const -1))
            (call $error (i32.const 4096) (i32.sub (local.get $bytes) (i32.const 9)))
            (call $error (i32.sub (i32.add (i32.const 4096) (local.get $bytes)) (i32.const 9)) (i32.const 9))
            unreachable))"#
    )
}

/// Replies with the file `greeting` in the folder it was granted first.
fn read_greeting() -> String {
    command(
        r#"(data (i32.const 1024) "greeting")"#,
        "(if (call $open (i32.const 3) (i32.const 1) (i32.const 1024) (i32.const 8) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)) (then unreachable))
        (i32.store (i32.const 0) (i32.const 2048)) (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $piece (i32.const 1) (i32.const 2048) (i32.load (i32.const 8)))",
    )
}

/// Makes a file in its scratch folder, which must not be there yet, writes to it, and ends like this.
fn scribble(end: &str) -> String {
    command(
        r#"(data (i32.const 1024) "mark")"#,
        &format!(
            "(if (call $open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 5)
                (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)) (then (call $exit (i32.const 65))))
            (call $piece (i32.load (i32.const 32)) (i32.const 1024) (i32.const 4))
            {end}"
        ),
    )
}

/// A file with the secret, and what of a section names it.
fn secret_of(site: &Site) -> String {
    std::fs::write(site.path("secret"), format!("{SECRET}\n")).unwrap();
    format!("secrets = {{ API_KEY = \"file:{}\" }}", site.path("secret").display())
}

/// The folders in which the scratch folders of workers are.
fn workers_in(scratch: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scratch).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
    let mut entries: Vec<PathBuf> = entries.unwrap_or_default();
    entries.retain(|path| path.is_dir());
    entries
}

/// The scratch folders that are there.
fn scratch_folders(site: &Site) -> Vec<PathBuf> {
    let workers = workers_in(&site.path(".afresh/scratch"));
    workers.iter().flat_map(|worker| workers_in(worker)).collect()
}

/// Runs the program with these arguments.
fn afresh(site: &Site, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_afresh"));
    program.args(arguments).args(["--broker", &site.url]).current_dir(site.folder.path());
    program.env("GRANTED_BY_ENV", SECRET).output().unwrap()
}

fn all_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn holds_no_secret(what: &str, text: &str) {
    for part in [SECRET, &SECRET[..8], &SECRET[15..]] {
        assert!(!text.contains(part), "{what} holds a secret: {text}");
    }
}

/// Everything the broker keeps, as bytes.
fn raw(site: &Site) -> String {
    let mut bytes = Vec::new();
    match &site.redis {
        None => {
            for file in ["jobs.db", "jobs.db-wal"] {
                bytes.extend(std::fs::read(site.path(file)).unwrap_or_default());
            }
        }
        Some(redis) => {
            redis.command("CONFIG SET rdbcompression no");
            redis.command("SAVE");
            let answer = redis.command("CONFIG GET dir");
            let folder = answer.lines().rfind(|line| line.starts_with('/')).unwrap_or_else(|| panic!("{answer}"));
            bytes.extend(std::fs::read(Path::new(folder.trim()).join("dump.rdb")).unwrap());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn a_secret_is_in_nothing_that_is_kept_or_shown(site: &mut Site) {
    site.task("blurt", &blurt());
    site.task("panic", &blurt_by_sdk());
    let secret = secret_of(site);
    site.config(&format!("[tasks.blurt]\n{secret}\n[tasks.panic]\n{secret}\n"));
    let worker = site.worker().slots(1).start();
    let jobs = ["blurt", "panic"].map(|task| (task, site.enqueue(NewJob::new(task, "").options(hasty(2)))));
    for (task, job) in &jobs {
        let view = site.dies(job);
        let outcome = if *task == "blurt" { "failed" } else { "panicked" };
        assert_eq!(outcomes(&view), [outcome, outcome]);
        let id = job.as_str();
        for verb in [["job", "show", id].as_slice(), &["job", "log", id], &["dead", "show", id], &["dead", "ls"]] {
            for json in [[].as_slice(), &["--json"]] {
                let shown = all_of(&afresh(site, &[verb, json].concat()));
                holds_no_secret(&format!("{verb:?}"), &shown);
                // A listing of dead jobs cuts the messages.
                assert!(shown.contains("[secret API_KEY]") || verb[1] == "ls", "{verb:?} {json:?}: {shown}");
            }
        }
    }
    let kept = raw(site);
    holds_no_secret("the broker", &kept);
    assert!(kept.contains("[secret API_KEY]"), "this test does not see what the broker keeps");
    worker.says("the job is dead");
    holds_no_secret("the worker's log", &worker.log());
    drop(worker);

    // The log for people, of a worker that does the same.
    jobs.iter().for_each(|(task, _)| drop(site.enqueue(NewJob::new(*task, "").options(hasty(1)))));
    let output = afresh(site, &["worker", "--tasks", "tasks", "--burst", "-vv"]);
    holds_no_secret("the log", &all_of(&output));
    assert!(all_of(&output).contains("secrets API_KEY"), "what is granted is said: {}", all_of(&output));

    for task in ["blurt", "panic"] {
        for report in [[].as_slice(), &["--report"]] {
            let shown = all_of(&afresh(site, &[&["run", &format!("tasks/{task}.wasm")], report].concat()));
            holds_no_secret("afresh run", &shown);
            assert!(shown.contains("[secret API_KEY]"), "{shown}");
        }
    }
}

#[test]
fn a_task_has_what_its_section_says_and_nothing_else() {
    let site = Site::sqlite();
    for task in ["bare", "rich"] {
        site.task(task, &variables());
    }
    site.task("reader", &read_greeting());
    std::fs::create_dir(site.path("models")).unwrap();
    std::fs::write(site.path("models/greeting"), "good day").unwrap();
    let secret = secret_of(&site);
    site.config(&format!(
        "[tasks.rich]\nenv = {{ LANG = \"C\", TZ = \"UTC\" }}\n{secret}\n[tasks.reader]\nfolders = {{ \"/models\" = \"models\" }}\n"
    ));
    let worker = site.worker().slots(1).start();
    let names =
        |reply: &str| reply.split('\0').map(|pair| pair.split('=').next().unwrap().to_owned()).collect::<Vec<_>>();
    let ours = ["AFRESH_TASK", "AFRESH_JOB_ID", "AFRESH_ATTEMPT", "AFRESH_MAX_ATTEMPTS", "AFRESH_QUEUE"];
    let run = |task: &str| site.succeeds(&site.enqueue(NewJob::new(task, "")));
    assert_eq!(names(&run("bare")), ours);
    let rich = run("rich");
    assert_eq!(names(&rich), [ours.as_slice(), &["LANG", "TZ", "API_KEY"]].concat());
    assert!(rich.ends_with(&format!("\0LANG=C\0TZ=UTC\0API_KEY={SECRET}")), "{rich:?}");
    assert_eq!(run("reader"), "good day");
    assert!(!site.path(".afresh/scratch").exists(), "nobody asked for one");
    holds_no_secret("the worker's log", &worker.log());

    // The same without a queue.
    let ran = afresh(&site, &["run", "tasks/rich.wasm"]);
    assert!(String::from_utf8_lossy(&ran.stdout).ends_with(&format!("\0API_KEY={SECRET}")), "{}", all_of(&ran));
    assert_eq!(String::from_utf8_lossy(&afresh(&site, &["run", "tasks/reader.wasm"]).stdout), "good day");
}

fn a_scratch_folder_is_gone_before_its_attempt_is_settled(site: &mut Site) {
    let spin = "(loop $again (br $again))";
    let ends = [("fine", "", "succeeded"), ("trap", "unreachable", "trapped"), ("spin", spin, "timed_out")];
    let mut config = String::new();
    for (task, end, _) in ends {
        site.task(task, &scribble(end));
        config += &format!("[tasks.{task}]\nscratch = \"1 MiB\"\n");
    }
    site.config(&config);
    let mut worker = site.worker().slots(1).start();
    for (task, _, outcome) in ends {
        let options = afresh_queue::JobOptions { max_attempts: Some(2), ..timeout(Duration::from_millis(300)) };
        let id = site.enqueue(NewJob::new(task, "").options(options));
        let job = site.wait(&id, "ended", |job| job.state.is_terminal());
        assert_eq!(scratch_folders(site), [] as [PathBuf; 0], "of {task}");
        // `rejected` would be a second attempt that found the first one's file.
        assert!(outcomes(&job).iter().all(|found| *found == outcome), "{task}: {job:#?}");
    }
    worker.terminate();
    assert_eq!(worker.ends(), 0);
    assert_eq!(std::fs::read_dir(site.path(".afresh/scratch")).unwrap().count(), 0, "the worker leaves nothing behind");

    // Without a queue it is the same.
    let ran = afresh(site, &["run", "tasks/fine.wasm"]);
    assert!(ran.status.success(), "{}", all_of(&ran));
    assert_eq!(std::fs::read_dir(site.path(".afresh/scratch")).unwrap().count(), 0);
}

fn what_a_killed_worker_left_behind_is_removed_by_the_next(site: &mut Site) {
    site.task("spin", &scribble("(loop $again (br $again))"));
    site.task("fine", &scribble(""));
    site.config("[tasks.spin]\nscratch = \"1 MiB\"\n[tasks.fine]\nscratch = \"1 MiB\"\n");
    let spins = || site.enqueue(NewJob::new("spin", "").options(hasty(1)));
    let marks = || scratch_folders(site).iter().filter(|folder| folder.join("mark").exists()).count();

    let mut first = site.worker().slots(1).start();
    let id: JobId = spins();
    assert!(wait_until(SOON, || marks() == 1), "it never began");
    first.kill();
    assert_eq!(marks(), 1, "this test has to leave something behind");
    site.cancel(std::slice::from_ref(&id));

    let second = site.worker().slots(1).start();
    second.says("that a killed worker left behind");
    assert_eq!(marks(), 0);
    assert_eq!(site.succeeds(&site.enqueue(NewJob::new("fine", ""))), "");

    // One that lives is left alone.
    spins();
    assert!(wait_until(SOON, || marks() == 1), "it never began");
    let third = site.worker().slots(1).start();
    third.says("worker started");
    assert_eq!((marks(), third.count("left behind")), (1, 0));
}

#[test]
fn a_folder_that_went_away_is_waited_for() {
    let site = Site::sqlite();
    site.task("reader", &read_greeting());
    std::fs::create_dir(site.path("models")).unwrap();
    site.config("[tasks.reader]\nfolders = { \"/models\" = \"models\" }\n");
    let worker = site.worker().slots(1).start();
    worker.says("worker started");
    std::fs::remove_dir(site.path("models")).unwrap();
    let id = site.enqueue(NewJob::new("reader", "").options(hasty(1)));
    worker.says("failed to open the folder models, which the task was granted");
    std::fs::create_dir(site.path("models")).unwrap();
    std::fs::write(site.path("models/greeting"), "good day").unwrap();
    assert_eq!(site.succeeds(&id), "good day");
}

#[test]
fn what_cannot_be_granted_keeps_a_worker_from_starting_and_nobody_else() {
    let site = Site::sqlite();
    site.task("bare", &variables());
    for (section, words) in [
        ("secrets = { A = \"env:NO_SUCH_VARIABLE\" }", "the environment variable NO_SUCH_VARIABLE is not set"),
        ("secrets = { A = \"file:no/such/file\" }", "the file no/such/file"),
        ("folders = { \"/models\" = \"no/such/folder\" }", "no/such/folder cannot be read: No such file"),
    ] {
        site.config(&format!("[tasks.bare]\n{section}\n"));
        let refused = afresh(&site, &["worker", "--tasks", "tasks", "--burst"]);
        assert_eq!(refused.status.code(), Some(1), "{}", all_of(&refused));
        assert!(all_of(&refused).contains("tasks.bare.") && all_of(&refused).contains(words), "{}", all_of(&refused));
        assert!(!afresh(&site, &["run", "tasks/bare.wasm"]).status.success());
        for verb in [["config"].as_slice(), &["inspect", "tasks/bare.wasm"], &["queue", "ls"]] {
            let done = afresh(&site, verb);
            assert!(done.status.success(), "{verb:?}: {}", all_of(&done));
        }
    }
    // The value itself, by mistake.
    site.config(&format!("[tasks.bare]\nsecrets = {{ A = \"{SECRET}\" }}\n"));
    let refused = all_of(&afresh(&site, &["inspect", "tasks/bare.wasm"]));
    assert!(refused.contains("line 2") && refused.contains("never the value"), "{refused}");
    holds_no_secret("the error", &refused);
}

#[test]
fn what_is_asked_for_and_what_is_granted_is_logged_and_inspected() {
    let site = Site::sqlite();
    let asks = r#"{"task":"asks","env":["LANG"],"secrets":["API_KEY","TOKEN"],"scratch":1048576,"enqueue":["mail"]}"#;
    site.module("tasks/some.wasm", &wasm(&endless(&format!("{asks}\n{{\"task\":\"bare\"}}"))));
    site.config(
        "[tasks.asks]\nmodule = \"some.wasm\"\nenv = { LANG = \"C\", TZ = \"UTC\" }\nsecrets = { API_KEY = \"env:GRANTED_BY_ENV\" }\nenqueue = [\"mail\"]\n",
    );
    let shown: Value =
        serde_json::from_slice(&afresh(&site, &["inspect", "tasks/some.wasm", "--json"]).stdout).unwrap();
    let granted = &shown["tasks"][0]["granted"];
    assert_eq!(
        (&shown["tasks"][0]["secrets"], &shown["tasks"][0]["scratch"]),
        (&serde_json::json!(["API_KEY", "TOKEN"]), &1_048_576.into())
    );
    assert_eq!(
        granted,
        &serde_json::json!({ "env": ["LANG", "TZ"], "secrets": ["API_KEY"], "folders": [], "scratch": null, "enqueue": ["mail"] })
    );
    let text = all_of(&afresh(&site, &["inspect", "tasks/some.wasm"]));
    let rows: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for row in [
        "asks env LANG yes yes",
        "asks env TZ no yes",
        "asks secrets API_KEY yes yes",
        "asks secrets TOKEN yes no",
        "asks enqueue mail yes yes",
        "asks scratch 1.0 MiB yes no",
    ] {
        assert!(rows.iter().any(|found| found == row), "no {row:?} in {text}");
    }

    let log = all_of(&afresh(&site, &["worker", "--tasks", "tasks", "--burst", "--log-format", "json"]));
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of_asks = |level: &str| lines.iter().find(|line| line["level"] == level && line["task"] == "asks").cloned();
    assert_eq!(of_asks("INFO").unwrap()["granted"], "env LANG, env TZ, secrets API_KEY, enqueue mail");
    assert_eq!(of_asks("WARN").unwrap()["missing"], "secrets TOKEN, scratch 1.0 MiB");
    assert!(!lines.iter().any(|line| line["task"] == "bare"), "it asks for nothing, and has nothing: {log}");
    holds_no_secret("the log", &log);
}

/// An SDK module that calls itself by another's name, and replies with all its variables.
fn thief_of(task: &str) -> String {
    format!(
        r#"(module (@custom "afresh.tasks" "{{\22task\22:\22{task}\22}}")
        (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
        {IMPORTS}
        (func (export "_start") (call $reply (i32.const 4096) (call $variables))))"#
    )
}

#[track_caller]
fn nobody_serves(site: &Site) {
    let job = site.dies(&site.enqueue(NewJob::new("keeper", "").options(hasty(1))));
    assert_eq!(outcomes(&job), ["bad_module"]);
    assert!(job.attempts[0].error.as_ref().unwrap().message.contains("may serve the task `keeper`"), "{job:#?}");
}

#[test]
fn nobody_gets_what_was_granted_to_another_by_taking_his_name() {
    let site = Site::sqlite();
    let gift = "[limits]\nwaits = 0\n[tasks.keeper]\nenv = { GIFT = \"for-the-keeper\" }\n";
    site.task("keeper", &variables());
    site.module("tasks/a-thief.wasm", &wasm(&thief_of("keeper")));

    site.config(gift);
    let mut worker = site.worker().slots(1).start();
    worker.says("a-thief.wasm may not serve this task, to which something is granted");
    let reply = site.succeeds(&site.enqueue(NewJob::new("keeper", "").options(hasty(1))));
    assert!(reply.contains("GIFT=for-the-keeper"), "{reply:?}");
    let run = afresh(&site, &["run", "tasks/a-thief.wasm", "keeper"]);
    let shown = all_of(&run);
    assert!(run.status.success() && shown.contains("AFRESH_TASK") && !shown.contains("for-the-keeper"), "{shown}");

    // Whether the file that may is gone, or cannot be run any more when the next worker starts.
    std::fs::remove_file(site.path("tasks/keeper.wasm")).unwrap();
    worker.says("module removed");
    nobody_serves(&site);
    worker.kill();
    site.module("tasks/keeper.wasm", b"\0asm, and then nothing");
    let mut worker = site.worker().slots(1).start();
    nobody_serves(&site);
    worker.kill();

    site.task("another", &variables());
    site.config(&format!("{gift}module = \"another.wasm\"\n"));
    site.task("keeper", &variables());
    let _worker = site.worker().slots(1).start();
    nobody_serves(&site);
}
