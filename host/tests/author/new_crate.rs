//! A new crate, as `afresh new` makes it: it passes its own tests, builds and runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Said, afresh, folder, run};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A new crate in a folder, with the versions of this workspace; and what was said of it.
fn say_hello(dir: &Path) -> (PathBuf, Said) {
    let said = run(dir, &["new", "say-hello"]).ends_with(0);
    let project = dir.join("say-hello");
    std::fs::copy(Path::new(WORKSPACE).join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    (project, said)
}

/// What wasmtime is made of, and the features with which cargo compiles it for the tests in a folder.
fn made_of(folder: &Path) -> BTreeSet<String> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--workspace", "--edges", "normal,dev,no-proc-macro", "--no-dedupe", "--prefix", "depth"]);
    let said = Said::of(&tree.args(["--format", " {p} {f}"]).current_dir(folder).output().unwrap()).ends_with(0);
    let (mut parts, mut under) = (BTreeSet::new(), usize::MAX);
    // Between two members of a workspace stands an empty line.
    for (depth, part) in said.out.lines().filter_map(|line| line.split_once(' ')) {
        let depth = depth.parse().unwrap();
        if depth <= under {
            under = if part.starts_with("wasmtime v") { depth } else { usize::MAX };
        }
        if under != usize::MAX {
            parts.insert(part.to_owned());
        }
    }
    parts
}

#[test]
fn a_new_crate_finds_the_sandbox_compiled() {
    let dir = folder(&[]);
    let (project, _) = say_hello(dir.path());
    let (ours, theirs) = (made_of(Path::new(WORKSPACE)), made_of(&project));
    assert!(ours.len() > 50 && theirs.len() > 50, "{ours:?} {theirs:?}");
    let others: Vec<_> = ours.symmetric_difference(&theirs).collect();
    assert!(others.is_empty(), "name these features in host/fuzz/Cargo.toml, or it takes minutes more: {others:#?}");
}

#[test]
fn a_new_crate_passes_its_tests_builds_and_runs() {
    let dir = folder(&[]);
    let (project, said) = say_hello(dir.path());
    assert!(said.out.contains("the SDK in ") && said.out.contains("cd say-hello"), "{}", said.out);

    // Its tests link the sandbox, which this workspace's target folder has compiled already; no cargo holds the folder while
    // tests run.
    let mut test = Command::new("cargo");
    test.arg("test").current_dir(&project).env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/.."));
    let tested = Said::of(&test.output().unwrap()).ends_with(0);
    assert!(tested.out.contains("2 passed") && tested.out.contains("no_payload_breaks_it ... ok"), "{}", tested.out);
    assert!(tested.out.contains("no_name_breaks_it ... ok"), "{}", tested.out);

    // Without the crate's own flags, and with flags for another machine in the environment, as under an outer cargo.
    let config = project.join(".cargo/config.toml");
    let flags = std::fs::read(&config).unwrap();
    std::fs::remove_file(&config).unwrap();
    let mut build = afresh(&project, &["build", "--json"]);
    build.env("RUSTFLAGS", "-C link-arg=--no-such-flag").env("CARGO_ENCODED_RUSTFLAGS", "--no-such-flag");
    let built = Said::of(&build.output().unwrap()).ends_with(0).json();
    assert_eq!(built[0]["tasks"], serde_json::json!(["say_hello"]));
    assert_eq!(built[0]["path"], "target/afresh/say-hello.wasm");

    // With its own flags it becomes the same module: the stack that `afresh build` chooses is the template's.
    std::fs::write(&config, flags).unwrap();
    let again = run(&project, &["build", "--json", "-q"]).ends_with(0);
    assert_eq!((again.json()[0]["digest"].clone(), again.err.as_str()), (built[0]["digest"].clone(), ""));

    let module = "target/afresh/say-hello.wasm";
    let shown = run(&project, &["inspect", module, "--json"]).ends_with(0).json();
    assert_eq!((&shown["kind"], &shown["digest"]), (&Value::from("sdk"), &built[0]["digest"]));
    assert_eq!(
        shown["tasks"],
        serde_json::json!([{
            "task": "say_hello", "max_attempts": 5, "timeout_ms": 10_000, "memory": 32 << 20,
            "granted": { "env": [], "secrets": [], "folders": [], "scratch": null, "enqueue": [] },
        }])
    );
    assert!(shown["initial_memory_bytes"].as_u64().unwrap() < 512 << 10, "the stack is not small: {shown}");

    let ran = run(&project, &["run", module, "{\"name\": \"Ada\"}"]).ends_with(0);
    assert_eq!(ran.out, "{\"greeting\":\"Hello, Ada!\"}");
    assert!(ran.err.starts_with("[info] greeting Ada\ntook "), "{}", ran.err);
    let rejected = run(&project, &["run", module, "say_hello", "{\"name\": \"\"}"]).ends_with(1);
    assert!(rejected.out.is_empty() && rejected.err.starts_with("rejected: `name` is empty\n"), "{}", rejected.err);
    let report = run(&project, &["run", module, "{}", "--report"]).ends_with(1).json();
    assert_eq!((&report["outcome"], &report["error"]["kind"]), (&"rejected".into(), &"bad_payload".into()));
}

#[test]
fn a_new_crate_needs_a_fitting_name_a_free_folder_and_the_sdk() {
    let dir = folder(&[("taken/file", ""), ("file", ""), ("other/Cargo.toml", "[package]\nname = \"other\"")]);
    for name in ["Hello", "2nd", "../up", "loop", "main", ""] {
        let said = run(dir.path(), &["new", name]).ends_with(2);
        assert!(said.err.contains("such as `"), "{name}: {}", said.err);
    }
    run(dir.path(), &["new", "taken"]).fails(1, &["taken is there already", "--dir"]);
    run(dir.path(), &["new", "a", "--dir", "file"]).fails(1, &["file is there already"]);
    for sdk in ["nowhere", "other"] {
        run(dir.path(), &["new", "a", "--sdk", sdk]).fails(1, &["the SDK is not in", sdk, "--sdk"]);
    }
    assert!(!dir.path().join("a").exists());
}
