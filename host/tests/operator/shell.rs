//! `afresh completions` and `afresh man`: what a person's shell and `man` take.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::cli::Cli;

/// The verbs that `afresh --help` lists.
fn verbs(cli: &Cli) -> BTreeSet<String> {
    let help = cli.run(&["--help"]).ok();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that is longer than a line goes on further to the right.
    let listed = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    listed.filter_map(|line| line.split(' ').next()).filter(|verb| *verb != "help").map(str::to_owned).collect()
}

#[test]
fn the_completions_are_scripts_that_know_every_verb_and_no_hidden_one() {
    let cli = Cli::sqlite();
    assert!(verbs(&cli).len() > 10, "{:?}", verbs(&cli));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cli.run(&["completions", shell]).ok();
        for verb in verbs(&cli) {
            assert!(script.contains(&verb), "{shell} does not know {verb}");
        }
        assert!(!script.contains("compile-module"), "{shell} knows a hidden verb");
        assert!(script.contains("memory-budget"), "{shell} knows no flags");
    }
    let script = cli.run(&["completions", "bash"]).ok();
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let checked = bash.wait_with_output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn there_is_a_page_for_every_verb_and_none_for_a_hidden_one() {
    let cli = Cli::sqlite();
    cli.run(&["man", "share/man1"]).ok();
    let pages = fs::read_dir(cli.folder.path().join("share/man1")).unwrap();
    let pages: BTreeSet<_> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    for verb in verbs(&cli) {
        assert!(pages.contains(&format!("afresh-{verb}.1")), "no page for {verb} in {pages:?}");
    }
    assert!(pages.contains("afresh.1") && pages.contains("afresh-job-show.1"), "{pages:?}");
    assert!(!pages.iter().any(|page| page.contains("compile-module")), "{pages:?}");
    let page = fs::read_to_string(cli.folder.path().join("share/man1/afresh-worker.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("AFRESH_CONCURRENCY"), "{page}");
}

#[test]
fn without_a_folder_the_main_page_is_printed_and_shows_no_password() {
    let cli = Cli::on("redis://ann:s3cret@127.0.0.1:1");
    let page = cli.run(&["man"]).ok();
    assert!(page.contains(".TH afresh 1") && page.contains("afresh\\-worker"), "{page}");
    assert!(!page.contains("s3cret") && !page.contains("compile"), "{page}");
}

#[test]
fn a_shell_nobody_knows_and_a_folder_that_cannot_be_are_said() {
    let cli = Cli::sqlite();
    cli.run(&["completions", "tcsh"]).fails(2, &["invalid value 'tcsh'"]);
    cli.file("taken", "");
    cli.run(&["man", "taken"]).fails(1, &["failed to make the folder taken"]);
}

/// What an operator compares with an advisory.
#[test]
fn the_version_names_the_engine_and_so_does_the_doctor() {
    let cli = Cli::sqlite();
    let version = cli.run(&["--version"]).ok();
    let (_, engine) = version.split_once('(').expect("the engine in brackets");
    let engine = engine.trim_end().trim_end_matches(')');
    assert!(engine.starts_with("wasmtime ") && version.starts_with("afresh "), "{version}");
    let findings = String::from_utf8(cli.run(&["doctor"]).stdout).unwrap();
    assert!(findings.contains(engine), "{findings}");
}
