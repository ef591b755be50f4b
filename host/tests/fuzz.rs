//! `afresh fuzz`, with the real program: what it finds and writes, what it says, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Traps where its payload's second byte is 7, and takes more memory where its first is not 0.
const TRAP: &str = r#"(module
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $read (i32.const 0) (i32.const 2) (i32.const 0)))
    (if (i32.load8_u (i32.const 0)) (then (drop (memory.grow (i32.const 1)))))
    (if (i32.eq (i32.load8_u (i32.const 1)) (i32.const 7)) (then (unreachable)))))"#;

/// Ends with this verdict, and with a text that no terminal should see; never in another way.
fn ends(verdict: u32) -> String {
    format!(
        r#"(module
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\1b[31m")
  (func (export "_start")
    (call $error (i32.const 16) (i32.const 5)) (call $verdict (i32.const {verdict}) (i64.const -1))))"#
    )
}

/// Verdicts of a guest.
const FAILED: u32 = 1;
const PANICKED: u32 = 4;

/// A folder with this guest in `guest.wasm`.
fn folder(guest: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("guest.wasm"), wat::parse_str(guest).unwrap()).unwrap();
    dir
}

fn afresh(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afresh"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null());
    command
}

/// What a program said, if it ended with that code.
#[track_caller]
fn said(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    (out, err)
}

#[track_caller]
fn fuzz(dir: &Path, arguments: &[&str], code: i32) -> (String, String) {
    said(&afresh(dir, &[&["fuzz", "guest.wasm"], arguments].concat()).output().unwrap(), code)
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_is_found_is_small_in_a_file_and_shown_again_by_the_command_that_is_said() {
    let dir = folder(TRAP);
    std::fs::create_dir(dir.path().join("corpus")).unwrap();
    std::fs::write(dir.path().join("corpus/mine"), b"\x00\x07 and more").unwrap();
    let (out, err) = fuzz(dir.path(), &["--corpus", "corpus", "--seconds", "2", "--seed", "7"], 1);

    let [found] = files(dir.path().join("fuzz-findings")).try_into().unwrap();
    assert_eq!(std::fs::read(&found).unwrap(), b"0\x07");
    let name = format!("fuzz-findings/{}", found.file_name().unwrap().to_str().unwrap());
    assert!(name.starts_with("fuzz-findings/trapped-"), "{name}");
    assert!(err.starts_with("found trapped: ") && err.contains(&name), "{err}");
    for part in ["trapped: ", "(2 bytes", "seed 7", "most memory  128.0 KiB, on ", "slowest ", "1 finding"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let again = format!("  afresh run guest.wasm guest @{name}\n");
    assert!(out.contains(&again), "{out}");
    let words: Vec<_> = again.split_whitespace().skip(1).collect();
    let (_, sentence) = said(&afresh(dir.path(), &words).output().unwrap(), 1);
    assert!(sentence.starts_with("trapped: "), "{sentence}");

    // What got furthest has come to the folder, and nobody's file is gone.
    let corpus = files(dir.path().join("corpus"));
    assert!(corpus.len() > 3 && corpus.contains(&dir.path().join("corpus/mine")), "{corpus:?}");
    // The next run finds it at once, and writes nothing over.
    fuzz(dir.path(), &["--seconds", "0", "-q"], 1);
    assert_eq!(files(dir.path().join("fuzz-findings")), [found]);
}

#[test]
fn a_program_gets_the_same_as_json() {
    let dir = folder(TRAP);
    let arguments = ["--seconds", "1", "--jobs", "2", "--findings", "a/b", "--corpus", "corpus", "--json"];
    let (out, err) = fuzz(dir.path(), &[&["guest"], arguments.as_slice()].concat(), 1);
    let page: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(err, "");
    let runs = page["outcomes"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    assert!(runs > 0 && page["runs"] == runs, "{page}");
    assert_eq!((&page["task"], &page["peak_memory"]["peak_memory_bytes"]), (&"guest".into(), &(2 << 16).into()));
    // What was kept for a while and gave way to something that got further is not in the folder.
    assert_eq!(page["kept"], files(dir.path().join("corpus")).len(), "{page}");
    let found = &page["findings"][0];
    assert_eq!((&found["kind"], &found["payload_bytes"]), (&"trapped".into(), &2.into()), "{page}");
    assert!(dir.path().join(found["file"].as_str().unwrap()).is_file() && page["findings"][1].is_null(), "{page}");
}

#[test]
fn a_task_that_only_fails_is_within_its_rights_and_it_is_said_that_nothing_got_through() {
    let dir = folder(&ends(FAILED));
    let (out, _) = fuzz(dir.path(), &["--seconds", "1"], 0);
    assert!(out.contains("failed ") && out.ends_with("nothing is wrong with what was tried\n"), "{out}");
    assert!(out.contains("\nnote: no payload got through: ") && !out.contains("granted"), "{out}");
    assert!(!dir.path().join("fuzz-findings").exists());
    // Nor is what its author allows a finding, or what the flags make of a limit not one.
    let dir = folder(TRAP);
    fuzz(dir.path(), &["--seconds", "1", "--allow", "trapped,non_deterministic"], 0);
    let (out, _) = fuzz(dir.path(), &["--seconds", "1", "--allow", "trapped", "--memory", "1KiB"], 1);
    assert!(out.starts_with("out_of_memory: ") && out.contains(" --memory=1024\n"), "{out}");
}

#[test]
fn a_task_that_would_be_granted_something_is_said_to_go_without() {
    let dir = folder(TRAP);
    std::fs::write(dir.path().join("afresh.toml"), "[tasks.guest]\nenv = { TZ = \"UTC\" }\n").unwrap();
    let (out, _) = fuzz(dir.path(), &["--seconds", "1", "--allow", "trapped"], 0);
    assert!(out.contains("\nnote: a task is granted nothing while it is fuzzed, so this one, with env TZ, "), "{out}");
    assert!(!out.contains("got through"), "{out}");
}

#[test]
fn a_guests_text_reaches_no_terminal() {
    let dir = folder(&ends(PANICKED));
    let (out, err) = fuzz(dir.path(), &["--seconds", "1"], 1);
    assert!(!(out.clone() + &err).contains('\u{1b}'), "{out}{err}");
    assert!(
        out.starts_with("panicked: \\u{1b}[31m\n") && err.starts_with("found panicked: \\u{1b}[31m ("),
        "{out}{err}"
    );
}

/// `examples/shout-c`, which has no crate that could have a test of its own.
#[test]
fn the_example_in_c_answers_each_payload_with_as_many_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/shout-c");
    said(&afresh(dir.path(), &["build", source, "--out", out]).output().unwrap(), 0);
    afresh_fuzz::Guest::module(dir.path().join("shout-c.wasm"))
        .seeds([b"a line\n".as_slice(), b"another without an end \xff\0"])
        .expect("as many bytes as it got", |payload, outcome| {
            matches!(outcome, afresh_fuzz::Outcome::Succeeded(reply) if reply.len() == payload.len())
        })
        .bytes();
}

#[test]
fn what_was_called_wrongly_is_said_in_a_sentence() {
    let dir = folder(TRAP);
    for (arguments, code, words) in [
        (["other"].as_slice(), 2, "`other` is not a task of this module; its tasks are: guest"),
        (&["--allow", "succeeded"], 2, "`succeeded` is nothing that can be found"),
        (&["--jobs", "0"], 2, "--jobs"),
        (
            &["--corpus", "guest.wasm", "--seconds", "9999"],
            1,
            "failed to write into guest.wasm; choose another folder: ",
        ),
        (
            &["--findings", "guest.wasm/x", "--seconds", "9999"],
            1,
            "failed to write into guest.wasm/x; choose another folder: ",
        ),
    ] {
        let (_, err) = fuzz(dir.path(), arguments, code);
        assert!(err.contains(words) && !err.contains("found "), "{arguments:?}: {err}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_ends_it_and_there_is_still_a_report() {
    let dir = folder(TRAP);
    let mut command = afresh(dir.path(), &["fuzz", "guest.wasm", "--seconds", "3600", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Once it has found something it listens for signals, and has something to report.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !dir.path().join("fuzz-findings").exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it found nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let (out, _) = said(&child.wait_with_output().unwrap(), 1);
    let page: Value = serde_json::from_str(&out).unwrap();
    assert!(page["seconds"].as_f64().unwrap() < 3600.0 && page["runs"].as_u64() > Some(0), "{page}");
}
