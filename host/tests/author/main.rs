//! What the author of a task does at a terminal: `afresh new`, `build`, `inspect`, `run`, with the real program, the
//! real cargo and a real clang. Cargo's folder for what it compiles is kept between runs, so that only the first is slow.

mod new_crate;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A plain command that copies its payload to its reply, and says so on stderr with a character no terminal should see.
const ECHO: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "copied \1b[31m\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 4096))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 13))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// A plain command that never ends.
const LOOP: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;

/// A plain command that says it was given bad data.
const REJECT: &str = r#"(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 65))))"#;

/// What a program said and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// It ended with that code.
    #[track_caller]
    fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// It failed, and the last line on stderr begins with `error: ` and holds these words. (Compilers speak before.)
    #[track_caller]
    fn fails(self, code: i32, words: &[&str]) {
        let said = self.ends_with(code);
        let sentence = said.err.lines().last().unwrap_or_default();
        assert!(sentence.starts_with("error: "), "{}", said.err);
        for word in words {
            assert!(sentence.contains(word), "{sentence:?} does not say {word:?}");
        }
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// `afresh` with these arguments in a folder.
fn afresh(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afresh"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null());
    command.env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/author"));
    command
}

/// Runs `afresh` to its end.
fn run(dir: &Path, arguments: &[&str]) -> Said {
    Said::of(&afresh(dir, arguments).output().unwrap())
}

/// A new folder with these files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

/// A new folder with modules in it, from their text.
fn modules(modules: &[(&str, &str)]) -> TempDir {
    let dir = folder(&[]);
    for (name, text) in modules {
        std::fs::write(dir.path().join(name), wat::parse_str(text).unwrap()).unwrap();
    }
    dir
}

#[test]
fn a_folder_of_c_files_is_one_program_beside_a_workspace_too() {
    let shout = "#include <ctype.h>\n#include <stdio.h>\nint up(int c);\n\
                 int main(void) { int c; while ((c = getchar()) != EOF) putchar(up(c)); return 0; }";
    let up = "#include <ctype.h>\nint up(int c) { return toupper(c); }";
    let dir = folder(&[("shout/main.c", shout), ("shout/up.c", up), ("notes/readme.txt", ""), (".old/a.c", "?")]);

    let built = run(dir.path(), &["build", "--out", "tasks", "--json"]).ends_with(0).json();
    assert_eq!(built.as_array().unwrap().len(), 1, "{built}");
    assert_eq!(run(dir.path(), &["run", "tasks/shout.wasm", "hello"]).ends_with(0).out, "HELLO");
    let alone = run(&dir.path().join("shout"), &["build", "--json"]).ends_with(0).json();
    assert_eq!(alone[0]["digest"], built[0]["digest"]);
}

#[test]
fn a_c_program_finds_the_variables_and_folders_it_was_granted_and_no_others() {
    let program = r#"
        #include <dirent.h>
        #include <stdio.h>
        #include <stdlib.h>
        static int opens(const char *path, const char *mode) { return fopen(path, mode) != NULL; }
        int main(void) {
            char model[32] = "", note[32] = "";
            FILE *file = fopen("/models/greeting", "r");
            if (!file || !fgets(model, sizeof model, file) || fclose(file)) return 1;
            for (int n = 1; n <= 2; n++) {
                FILE *out = fopen("/scratch/note", "a");
                if (!out || fprintf(out, "note %d.", n) < 0 || fclose(out)) return 2;
            }
            file = fopen("/scratch/note", "r");
            if (!file || !fgets(note, sizeof note, file) || remove("/scratch/note")) return 3;
            int entries = 0;
            for (DIR *folder = opendir("/models"); readdir(folder); entries++) {}
            printf("%s %s %s %d", getenv("LANG"), model, note, entries);
            printf(" %d%d%d", opens("/models/new", "w"), opens("/models/../secret", "r"), opens("/etc/passwd", "r"));
            return getenv("PATH") != NULL;
        }"#;
    let config = "[tasks.tool]\nenv = { LANG = \"C\" }\nfolders = { \"/models\" = \"models\" }\nscratch = \"1 MiB\"\n";
    let files = [("tool/main.c", program), ("models/greeting", "hello"), ("secret", "no"), ("afresh.toml", config)];
    let dir = folder(&files);
    run(dir.path(), &["build", "--out", "tasks"]).ends_with(0);
    let said = run(dir.path(), &["run", "tasks/tool.wasm"]).ends_with(0);
    assert_eq!(said.out, "C hello note 1.note 2. 3 000");
}

#[test]
fn a_build_that_changes_nothing_or_fails_leaves_the_modules_as_they_are() {
    let (good, bad) = ("int main(void) { return 0; }", "int main(void) { return 0 }");
    let launch = "__attribute__((import_module(\"env\"), import_name(\"launch\"))) void launch(void);\n\
                  int main(void) { launch(); return 0; }";
    let dir = folder(&[("one/a.c", good), ("two/b.c", good)]);
    let module = dir.path().join("target/afresh/one.wasm");
    let stamp = || std::fs::metadata(&module).unwrap().modified().unwrap();

    run(dir.path(), &["build"]).ends_with(0);
    let first = stamp();
    run(dir.path(), &["build"]).ends_with(0);
    assert_eq!(stamp(), first);

    // The other program fails, so this one, changed as it is, stays what it was.
    std::fs::write(dir.path().join("one/a.c"), "int main(void) { return 1; }").unwrap();
    for (source, words) in [(bad, ["clang could not build", "two"]), (launch, ["two.wasm cannot be run", "env.launch"])]
    {
        std::fs::write(dir.path().join("two/b.c"), source).unwrap();
        run(dir.path(), &["build"]).fails(1, &words);
        assert_eq!(stamp(), first);
    }
}

#[test]
fn a_build_that_cannot_be_says_what_is_missing() {
    let manifest = "[package]\nname = \"a\"\nedition = \"2024\"\n[workspace]\n";
    let empty = folder(&[("notes.txt", "")]);
    run(empty.path(), &["build"]).fails(1, &["nothing to build", "afresh new"]);
    run(empty.path(), &["build", "nowhere"]).fails(1, &["nowhere is not a folder"]);
    run(empty.path(), &["build", "notes.txt"]).fails(1, &["notes.txt is not a folder"]);
    let library = folder(&[("Cargo.toml", manifest), ("src/lib.rs", "")]);
    run(library.path(), &["build"]).fails(1, &["holds no program", "src/main.rs"]);
    let broken = folder(&[("Cargo.toml", manifest), ("src/main.rs", "fn main() { 1 }")]);
    run(broken.path(), &["build"]).fails(1, &["cargo could not build"]);
}

/// A folder of programs that stand in for the real ones, to be the whole PATH.
fn tools(scripts: &[(&str, &str)]) -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = folder(&[]);
    for (name, script) in scripts {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

#[test]
fn a_machine_without_the_compilers_is_told_what_to_install() {
    let project = folder(&[("Cargo.toml", "[workspace]\n"), ("shout/a.c", "int main(void) { return 0; }")]);
    let build = |path: &TempDir| {
        let mut command = afresh(project.path(), &["build"]);
        command.env("PATH", path.path()).env("TOOLS", path.path()).env_remove("WASI_SDK_PATH");
        Said::of(&command.output().unwrap())
    };
    build(&tools(&[])).fails(1, &["rustc is not on the PATH", "rustup.rs"]);

    let no_target = ("rustc", "echo $TOOLS/lib");
    build(&tools(&[no_target])).fails(1, &["cannot compile for wasm32-wasip1", "rustup is not there", "rustup.rs"]);
    build(&tools(&[no_target, ("rustup", "exit 1")])).fails(1, &["did not add the target"]);

    // With a rustup the target is added, and said so; what is missing then is the clang.
    let rustup = ("rustup", "[ \"$*\" = 'target add wasm32-wasip1' ] && exec /bin/mkdir $TOOLS/lib");
    let said = build(&tools(&[no_target, rustup, ("cargo", "exit 0")]));
    assert!(said.err.contains("calling `rustup target add wasm32-wasip1`"), "{}", said.err);
    assert!(said.err.contains("skipped: ./shout needs a clang that compiles for WASI"), "{}", said.err);
    said.fails(1, &["everything was skipped"]);
}

#[test]
fn a_plain_command_is_inspected_and_run_by_its_files_name() {
    let dir = modules(&[("copy.wasm", ECHO)]);
    let shown = run(dir.path(), &["inspect", "copy.wasm", "--json"]).ends_with(0).json();
    assert_eq!((&shown["kind"], &shown["tasks"][0]["task"]), (&"command".into(), &"copy".into()));
    assert_eq!(shown["initial_memory_bytes"], 65536);
    assert_eq!(shown["exports"], serde_json::json!(["memory", "_start"]));
    let text = run(dir.path(), &["inspect", "copy.wasm"]).ends_with(0).out;
    assert!(text.contains("sha256:") && text.contains("wasi_snapshot_preview1.fd_read"), "{text}");

    std::fs::write(dir.path().join("payload"), b"\xff\x00").unwrap();
    for arguments in [["run", "copy.wasm", "hi"].as_slice(), &["run", "copy.wasm", "copy", "hi"]] {
        let said = run(dir.path(), arguments).ends_with(0);
        assert!(said.err.starts_with("[info] copied \\u{1b}[31m\ntook "), "{}", said.err);
        assert_eq!(said.out, "hi");
    }
    let quiet = run(dir.path(), &["run", "-q", "copy.wasm", "hi"]).ends_with(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("hi", ""));
    assert_eq!(run(dir.path(), &["run", "copy.wasm"]).ends_with(0).out, "");
    let raw = afresh(dir.path(), &["run", "copy.wasm", "@payload"]).output().unwrap();
    assert_eq!(raw.stdout, b"\xff\x00");
    let piped = std::fs::File::open(dir.path().join("payload")).unwrap();
    assert_eq!(afresh(dir.path(), &["run", "copy.wasm", "-"]).stdin(piped).output().unwrap().stdout, b"\xff\x00");

    let report = run(dir.path(), &["run", "copy.wasm", "@payload", "--report"]).ends_with(0).json();
    assert_eq!((&report["outcome"], &report["reply_base64"]), (&"succeeded".into(), &"/wA=".into()));
    assert_eq!(report["log"][0], serde_json::json!({ "level": "info", "text": "copied \u{1b}[31m" }));
    assert_eq!(report["usage"]["output_bytes"], 2);
}

#[test]
fn an_attempt_that_does_not_succeed_ends_with_its_sentence() {
    let dir = modules(&[("spin.wasm", LOOP), ("refuse.wasm", REJECT)]);
    for (arguments, begins, code) in [
        (["run", "spin.wasm", "--timeout", "50ms"].as_slice(), "timed_out: ", 1),
        (&["run", "spin.wasm", "--fuel", "1000"], "out_of_fuel: ", 1),
        (&["run", "spin.wasm", "--memory", "1KiB"], "out_of_memory: ", 1),
        (&["run", "refuse.wasm"], "rejected: ", 1),
        (
            &["run", "refuse.wasm", "other", "x"],
            "error: `other` is not a task of this module; its tasks are: refuse",
            2,
        ),
        (&["run", "refuse.wasm", "@nowhere"], "error: failed to read the payload nowhere: ", 1),
        (&["run", "nowhere.wasm"], "error: failed to read the module nowhere.wasm: ", 1),
    ] {
        let said = run(dir.path(), arguments).ends_with(code);
        assert!(said.out.is_empty() && said.err.starts_with(begins), "{arguments:?}: {}", said.err);
    }
    let report = run(dir.path(), &["run", "refuse.wasm", "--json"]).ends_with(1).json();
    assert_eq!((&report["outcome"], &report["error"]["kind"]), (&"rejected".into(), &"rejected".into()));
}

#[test]
fn a_file_that_is_no_task_module_is_refused_in_one_sentence() {
    let dir = modules(&[
        (
            "unknown.wasm",
            r#"(module (import "env" "launch" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
        ),
        ("library.wasm", r#"(module (memory (export "memory") 1))"#),
    ]);
    let cut = &wat::parse_str(ECHO).unwrap()[..40];
    for (name, bytes) in [
        ("empty.wasm", b"".as_slice()),
        ("text.wasm", b"(module)"),
        ("component.wasm", b"\0asm\x0d\0\x01\0"),
        ("native.wasm", b"\x7fELF\x02\x01\x01\0"),
        ("picture.wasm", b"\x89PNG\r\n"),
        ("cut.wasm", cut),
    ] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    for (name, word) in [
        ("empty.wasm", "empty"),
        ("text.wasm", "text"),
        ("component.wasm", "component"),
        ("native.wasm", "native"),
        ("picture.wasm", "not WebAssembly"),
        ("cut.wasm", "cut off"),
        ("unknown.wasm", "env.launch"),
        ("library.wasm", "_start"),
    ] {
        for verb in ["inspect", "run"] {
            run(dir.path(), &[verb, name]).fails(1, &[&format!("{name} cannot be run: "), word]);
        }
    }
    run(dir.path(), &["inspect", "."]).fails(1, &["failed to read the module .: "]);
}

#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_cancels_the_guest_and_there_is_still_a_report() {
    let dir = modules(&[("spin.wasm", LOOP)]);
    let mut command = afresh(dir.path(), &["run", "spin.wasm", "--report"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Before the program listens, the signal would simply end it: Linux tells which signals a process catches.
    let status = format!("/proc/{}/status", child.id());
    let listens = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !listens() {
        assert!(Instant::now() < deadline, "the program never listened for Ctrl-C");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let report = Said::of(&child.wait_with_output().unwrap()).ends_with(1).json();
    assert_eq!(report["outcome"], "cancelled");
}
