//! What an author's test sees: it passes, or it panics with everything that is needed.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use afresh_fuzz::{Flaw, Guest};
use proptest::prelude::*;
use serde::Serialize;
use tempfile::TempDir;

use crate::guest;

/// A folder with that guest's module in it.
fn module(name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("{name}.wasm"));
    std::fs::write(&path, guest(name)).unwrap();
    (dir, path)
}

/// What a test that must fail says.
#[track_caller]
fn told(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("it passed");
    panic.downcast_ref::<String>().expect("a message").clone()
}

fn kept(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir.join("fuzz/findings")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_failing_test_shows_the_payload_keeps_it_and_begins_with_it_the_next_time() {
    let (dir, path) = module("utf8");
    let message = told(|| Guest::module(&path).seeds([b"some text \xff"]).bytes());
    let [file] = kept(dir.path()).try_into().unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"\xff");
    for part in ["`utf8`", "panicked: invalid byte, at src/main.rs:7:5", "hex ff (1 bytes", "it is kept", "@", "seed 0"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(message.contains(&format!("afresh run {} utf8 @{}", path.display(), file.display())), "{message}");

    let again = told(|| Guest::module(&path).runs(0).bytes());
    assert!(again.contains("an earlier run found it"), "{again}");
    Guest::module(&path).runs(0).allow(Flaw::Panicked).bytes();
}

#[test]
fn seeds_limits_and_expectations_are_the_tests_own() {
    let (dir, path) = module("echo");
    std::fs::create_dir(dir.path().join("seeds")).unwrap();
    std::fs::write(dir.path().join("seeds/one"), "a file with a needle").unwrap();
    let no_needle = |payload: &[u8], _: &_| !payload.windows(6).any(|window| window == b"needle");
    let message = told(|| Guest::module(&path).seeds_in("seeds").runs(10).expect("no needle", no_needle).bytes());
    assert!(message.contains("unexpected: expected no needle, but it succeeded"), "{message}");
    assert!(message.contains("payload  needle (6 bytes, made of 20)"), "{message}");
    assert!(message.contains("\nto see how it ends, where this test expects something else: afresh run "), "{message}");
    std::fs::remove_dir_all(dir.path().join("fuzz")).unwrap();
    let message = told(|| Guest::module(&path).memory("1MiB").timeout("2s").bytes());
    assert!(message.contains("out_of_memory") && message.contains(" --memory=1048576 --timeout=2s\n"), "{message}");
    std::fs::remove_dir_all(dir.path().join("fuzz")).unwrap();
    let (_dir, path) = module("json");
    assert!(told(|| Guest::module(&path).fuel(10).bytes()).contains("out_of_fuel"));
}

#[test]
fn what_cannot_be_run_is_said_in_a_sentence() {
    let (dir, path) = module("echo");
    assert!(told(|| Guest::module(dir.path().join("no.wasm")).bytes()).contains("failed to read the module"));
    assert!(
        told(|| Guest::module(&path).task("other").bytes()).contains("one of the module's tasks with `task`: echo")
    );
    assert!(told(|| Guest::module(&path).seeds_in("none").bytes()).contains("there is no payload in"));
    assert!(told(|| Guest::module(&path).memory("much").bytes()).contains("`much` is no size"));
}

/// What the planted JSON guest takes.
#[derive(Clone, Debug, Serialize)]
struct Job {
    mode: String,
    width: u32,
}

#[test]
fn values_of_a_strategy_are_tried_and_the_smallest_is_shown() {
    let (_dir, path) = module("json");
    let jobs = ("[a-z]", 0..3_u32).prop_map(|(mode, width)| Job { mode, width });
    let message = told(|| Guest::module(&path).runs(2_000).json(jobs.clone()));
    assert!(message.contains(r#"payload  {"mode":"x","width":0} ("#), "{message}");
    let (_dir, path) = module("json");
    Guest::module(&path).runs(200).json(jobs.prop_filter("no zero", |job| job.width > 0));
}

#[test]
fn bytes_of_a_strategy_are_tried_as_they_are() {
    let (_dir, path) = module("spin");
    let message = told(|| {
        Guest::module(&path).timeout("100ms").runs(10_000).payloads(prop::collection::vec(0_u8..20, 0..4));
    });
    assert!(message.contains("timed_out") && message.contains("(2 bytes"), "{message}");
}

#[test]
fn a_run_with_a_time_goes_on_to_values_that_it_has_not_tried() {
    let (_dir, path) = module("echo");
    let seen = Mutex::new(HashSet::new());
    // It ends at the 301st value: a runner of proptest's makes 256.
    let few = move |payload: &[u8], _: &_| {
        let mut seen = seen.lock().unwrap();
        seen.insert(payload.to_vec());
        seen.len() <= 300
    };
    let message = told(|| Guest::module(&path).for_seconds(60).expect("few values", few).json(any::<u64>()));
    assert!(message.contains("expected few values, but it succeeded"), "{message}");
}

#[cfg(feature = "arbitrary")]
#[test]
fn seeds_are_payloads_however_the_others_are_made() {
    let (dir, path) = module("utf8");
    let wrong = || Guest::module(&path).seeds([b"a seed \xff"]).runs(0);
    let ways: [&dyn Fn(); 3] =
        [&|| wrong().json(any::<u8>()), &|| wrong().payloads("[a-z]"), &|| wrong().arbitrary::<u8>()];
    for way in ways {
        assert!(told(way).contains("hex 61 20 73 65 65 64 20 ff (8 bytes)"), "{}", told(way));
        std::fs::remove_dir_all(dir.path().join("fuzz")).unwrap();
    }
}

#[cfg(feature = "arbitrary")]
#[test]
fn values_of_a_type_are_made_of_bytes_that_change() {
    let (_dir, path) = module("json");
    #[derive(Serialize, Debug)]
    struct Wish {
        mode: char,
        width: u8,
    }
    impl<'a> arbitrary::Arbitrary<'a> for Wish {
        fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
            Ok(Self { mode: char::from(u.int_in_range(b'a'..=b'z')?), width: u.int_in_range(0..=9)? })
        }
    }
    let message = told(|| Guest::module(&path).runs(50_000).arbitrary::<Wish>());
    assert!(message.contains(r#"{"mode":"x","width":0}"#), "{message}");
}

#[cfg(feature = "arbitrary")]
#[test]
fn a_type_without_values_is_told_and_not_waited_for() {
    let (_dir, path) = module("echo");
    #[derive(Serialize, Debug)]
    struct Never;
    impl<'a> arbitrary::Arbitrary<'a> for Never {
        fn arbitrary(_: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
            Err(arbitrary::Error::IncorrectFormat)
        }
    }
    let message = told(|| Guest::module(&path).runs(1).arbitrary::<Never>());
    assert!(
        message.starts_with("10000 inputs in a row made no payload: ") && message.contains("::Never,"),
        "{message}"
    );
}
