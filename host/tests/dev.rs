//! The first command of the README, as a stranger runs it: every example, on its own input, as its `example.toml` says.

use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;

use afresh_harness::{SOON, wait_until};

fn examples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples")
}

/// `afresh dev FOLDER --once` in an empty folder of its own.
fn dev(folder: &Path, home: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_afresh"))
        .args(["dev", "--once", "--json"])
        .arg(folder)
        .current_dir(home)
        .output()
        .unwrap()
}

/// A process that ends with its test, also where that fails.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_example_goes_as_its_file_says() {
    let home = tempfile::tempdir().unwrap();
    let output = dev(&examples(), home.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}\n{}", String::from_utf8_lossy(&output.stdout));

    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    for task in ["flaky", "log-report", "memory-bomb", "shout-c", "thumbnail"] {
        let of_task: Vec<_> = rows.iter().filter(|row| row["task"] == task).collect();
        assert!(!of_task.is_empty(), "no case of {task} was run");
        // A C program needs a clang for WASI; without one it is skipped, and the build has said so.
        let skipped = of_task.iter().any(|row| row["outcome"] == "skipped");
        assert!(!skipped || task == "shout-c" && stderr.contains("skipped"), "{task} was skipped: {stderr}");
    }
}

#[test]
fn a_case_that_differs_is_named_and_ends_with_1() {
    let home = tempfile::tempdir().unwrap();
    let crates = home.path().join("crates");
    std::fs::create_dir_all(crates.join("echo")).unwrap();
    std::fs::write(
        crates.join("echo/echo.c"),
        "#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) != EOF) putchar(c); return 0; }\n",
    )
    .unwrap();
    std::fs::write(
        crates.join("echo/example.toml"),
        "[[case]]\ntask = \"echo\"\npayload = \"hello\"\nreply = \"hello\"\n\n[[case]]\nname = \"not so\"\ntask = \"echo\"\npayload = \"hello\"\nreply = \"HELLO\"\n",
    )
    .unwrap();
    let output = dev(&crates, home.path());
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let fine: Vec<_> = rows.iter().map(|row| (row["case"].as_str().unwrap(), row["as_expected"].as_bool())).collect();
    assert_eq!(fine, [("echo", Some(true)), ("not so", Some(false))]);
}

#[test]
fn a_changed_source_is_built_and_run_again_once_and_ctrl_c_ends_it() {
    let home = tempfile::tempdir().unwrap();
    let crates = home.path().join("crates");
    std::fs::create_dir_all(crates.join("hello")).unwrap();
    let source =
        |word: &str| format!("#include <stdio.h>\nint main(void) {{ fputs(\"{word}\", stdout); return 0; }}\n");
    std::fs::write(crates.join("hello/hello.c"), source("one")).unwrap();
    std::fs::write(crates.join("hello/example.toml"), "[[case]]\ntask = \"hello\"\nreply = \"two\"\n").unwrap();

    // Into the folder that is watched, as a careless shell does: its own words must not start it again.
    let said = |name: &str| std::fs::read_to_string(crates.join(name)).unwrap_or_default();
    let file = |name: &str| std::fs::File::create(crates.join(name)).unwrap();
    let process = Command::new(env!("CARGO_BIN_EXE_afresh"))
        .arg("dev")
        .arg(&crates)
        .current_dir(home.path())
        .stdout(file("said"))
        .stderr(file("log"))
        .spawn()
        .unwrap();
    let mut process = Ends(process);
    let rounds = || said("log").matches("watching").count();
    assert!(wait_until(SOON, || rounds() == 1), "{}", said("log"));
    assert!(said("said").contains("its reply differs"), "{}", said("said"));

    std::fs::write(crates.join("hello/hello.c"), source("two")).unwrap();
    assert!(wait_until(SOON, || said("said").contains("all 1 cases went as expected")), "{}", said("log"));
    assert!(wait_until(SOON, || rounds() >= 2), "{}", said("log"));

    // One write may be seen as two changes, but never as a stream of them; that there is none takes a while to see.
    let now = rounds();
    assert!(!wait_until(Duration::from_secs(1), || rounds() > now + 1), "{}", said("log"));

    let id = rustix::process::Pid::from_child(&process.0);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert!(process.0.wait().unwrap().success(), "{}", said("log"));
}

#[test]
fn a_key_that_no_case_has_is_named_with_its_file() {
    let home = tempfile::tempdir().unwrap();
    let crates = home.path().join("crates");
    std::fs::create_dir_all(crates.join("echo")).unwrap();
    std::fs::write(crates.join("echo/echo.c"), "int main(void) { return 0; }\n").unwrap();
    std::fs::write(crates.join("echo/example.toml"), "[[case]]\ntask = \"echo\"\nspeed = 9\n").unwrap();
    let output = dev(&crates, home.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("example.toml") && stderr.contains("speed"), "{stderr}");
}
