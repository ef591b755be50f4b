//! Holds the absences that ARCHITECTURE.md promises, over every line of code: who may name whom. `deny.toml` holds the
//! same over the lock file; this says it at the line, and says it of words that are no dependency.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Words that must not stand in the code, or the manifest, of a folder.
struct Absence {
    folder: &'static str,
    words: &'static [&'static str],
    why: &'static str,
}

/// No part of Afresh, and so under none of the absences but its own: benches set Afresh against it.
const PROBE: &str = "tests/benches/probe";

const ABSENCES: [Absence; 9] = [
    Absence {
        folder: "host/queue",
        words: &["wasmtime", "afresh_sandbox", "afresh-sandbox"],
        why: "to a queue an outcome is data, whatever made it",
    },
    Absence {
        folder: "host/sandbox",
        words: &[
            "afresh_queue",
            "afresh-queue",
            "redis",
            "rusqlite",
            "JobId",
            "Lease",
            "RetryPolicy",
            "Settlement",
            "Broker",
        ],
        why: "a sandbox runs a module and knows no job, no queue and no retry",
    },
    Absence {
        folder: "host/fuzz",
        words: &["wasmtime", "tokio", "redis", "rusqlite", "afresh_queue", "afresh-queue"],
        why: "a fuzzer runs guests in the sandbox, and knows no job and no queue",
    },
    Absence {
        folder: "host/toolchain",
        words: &["wasmtime", "tokio", "afresh_sandbox", "afresh-sandbox", "afresh_queue", "afresh-queue"],
        why: "a compiler is called without anything that runs what it makes",
    },
    Absence {
        folder: "guest-sdk",
        words: &["tokio", "wasmtime", "redis", "rusqlite", "afresh_queue", "afresh_sandbox"],
        why: "a task links nothing of the host",
    },
    Absence { folder: "host/src", words: &["wasmtime", "redis", "rusqlite"], why: "each is named by one crate alone" },
    Absence { folder: "tests", words: &["wasmtime", "rusqlite"], why: "each is named by one crate alone" },
    Absence {
        folder: PROBE,
        words: &["afresh_host", "afresh_queue", "afresh_sandbox", "afresh-host", "afresh-queue", "afresh-sandbox"],
        why: "a limit that is measured through our own code is none",
    },
    Absence {
        folder: "examples",
        words: &["tokio", "wasmtime"],
        why: "an example is an ordinary guest, which its tests run through the fuzzer alone",
    },
];

#[test]
fn nobody_names_whom_he_must_not() {
    let mut seen = 0;
    let mut found = Vec::new();
    for absence in &ABSENCES {
        let mut files = code_of(&root().join(absence.folder));
        files.retain(|file| absence.folder == PROBE || !file.starts_with(root().join(PROBE)));
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            seen += 1;
            for (line, word) in named(&text, absence.words) {
                found.push(format!("{}:{line}: `{word}`: {}", file.display(), absence.why));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(seen > 30, "only {seen} files were looked at: did folders move?");
}

// Other files hold a switch of the one (`Cancel`) beside a key of the other (`LeaseRef`); only here does what a sandbox
// reports become what a queue records.
#[test]
fn what_the_sandbox_reports_meets_what_the_queue_records_in_one_file() {
    let names = |file: &Path, word| !named(&fs::read_to_string(file).unwrap(), &[word]).is_empty();
    let mut files = code_of(&root().join("host/src"));
    files.retain(|file| names(file, "Report") && names(file, "afresh_queue"));
    assert_eq!(files, [root().join("host/src/attempt.rs")]);
}

// Every build of the whole workspace has them, and so has the `afresh` of these tests.
#[test]
fn what_is_shipped_has_no_steps_at_which_a_test_can_let_it_die() {
    let dependencies = |features: &[&str]| {
        let mut tree = Command::new(env!("CARGO"));
        tree.args("tree --package afresh-host --edges normal --prefix none --locked --offline".split(' '));
        let output = tree.args(features).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (shipped, tested) = (dependencies(&[]), dependencies(&["--features", "steps"]));
    let names_fail = |tree: &str| tree.lines().any(|line| line.starts_with("fail v"));
    assert!(!names_fail(&shipped) && names_fail(&tested), "{shipped}");
}

#[test]
fn a_forbidden_word_is_found_in_code_and_manifests_but_not_in_comments_or_parts_of_words() {
    let words = ["redis", "Lease"];
    let text = "use redis::Client;\n// no redis here\n/// nor a Lease\nlet rediscover = Release; # redis\nredis = \"1\"\n\"redis://a\"";
    assert_eq!(named(text, &words), [(1, "redis"), (5, "redis")]);
}

// A test that was renamed or removed breaks no promise, but nobody would see that none tries to any more.
#[test]
fn every_test_that_the_page_of_promises_names_is_there() {
    let page = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let promises: Vec<_> = page.split("\n## ").skip(1).collect();
    assert_eq!(promises.len(), 7);
    for promise in promises {
        let title = promise.lines().next().unwrap_or_default();
        let rows: Vec<_> = promise.lines().filter(|line| line.starts_with("| `")).collect();
        assert!(!rows.is_empty(), "nothing tries to break {title}");
        for row in rows {
            let cell = row.split('|').nth(1).unwrap_or_default();
            let mut names = cell.split('`').skip(1).step_by(2);
            let file = root().join(names.next().unwrap());
            let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let gone = names.find(|name| !text.contains(&format!("fn {name}(")));
            assert_eq!(gone, None, "{} has no such test", file.display());
        }
    }
}

/// The lines of `text`, from 1, whose code names one of `words`.
fn named<'a>(text: &str, words: &[&'a str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (line, code) in (1..).zip(text.lines()) {
        // The scheme of a URL names no crate.
        let code = code.replace("redis://", "");
        let code = without_comment(&code);
        let names: Vec<_> = code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').collect();
        found.extend(words.iter().filter(|word| names.contains(word)).map(|&word| (line, word)));
    }
    found
}

fn without_comment(line: &str) -> &str {
    let end = line.find("//").into_iter().chain(line.find("# ")).min().unwrap_or(line.len());
    &line[..end]
}

/// Every Rust file and manifest under `folder`, without what was built there.
fn code_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(code_of(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") || path.ends_with("Cargo.toml") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
