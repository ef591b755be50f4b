//! Wrong calls and brokers that are not there: one clear sentence each, soon, and never a password.

use std::time::{Duration, Instant};

use afresh_harness::RedisServer;

use crate::cli::{Cli, Run};

/// A port where nobody listens.
const NOBODY: &str = "redis://ann:s3cret@127.0.0.1:1";

#[test]
fn a_wrong_call_is_one_sentence_and_exit_code_2() {
    let cli = Cli::sqlite();
    for (arguments, words) in [
        (&["job", "ls", "--colour", "red"] as &[&str], "unexpected argument '--colour'"),
        (&["job", "show", "a b"], "a job's id is 1 to 128 letters"),
        (&["job", "ls", "--limit", "-1"], "-1 is not in 1..=10000"),
        (&["job", "ls", "--limit", "0"], "0 is not in 1..=10000"),
        (&["job", "ls", "--state", "asleep"], "`asleep` is not a state; the states are scheduled"),
        (&["dead", "ls", "--kind", "sad"], "`sad` is not an outcome; the outcomes are succeeded"),
        (&["job", "cancel"], "required arguments"),
        (&["enqueue"], "required arguments"),
        (&["enqueue", "../t"], "`../t` is not a name"),
        (&["enqueue", "t", "--queue", "a/b"], "`a/b` is not a name"),
        (&["enqueue", "t", "--at", "tomorrow"], "`tomorrow` is not a time: write it like 2026"),
        (&["enqueue", "t", "--at", "2026-01-01T00:00:00"], "is not a time"),
        (&["enqueue", "t", "--in", "soon"], "invalid value 'soon'"),
        (&["enqueue", "t", "--in", "1s", "--at", "2126-01-01T00:00:00Z"], "cannot be used with"),
        (&["enqueue", "t", "--key", ""], "its key: `` is not a key: it must be 1 to 128 bytes without white space"),
        (&["enqueue", "t", "--key", &"k".repeat(129)], "1 to 128 bytes"),
        (&["enqueue", "t", "--unique-key", "a b"], "its unique key: `a b` is not a key"),
        (&["enqueue", "t", "--unique-for", "1h"], "say how long a `unique-key` is held"),
        (&["enqueue", "t", "--unique-key", "k", "--unique-for", "0s"], "not from 1 ms to a year"),
        (
            &["enqueue", "t", "--unique-key", "k", "--unique-while", "asleep"],
            "invalid value 'asleep' for '--unique-while",
        ),
        (
            &["enqueue", "t", "--unique-key", "k", "--unique-for", "1h", "--unique-while", "queued"],
            "cannot be used with",
        ),
        (&["enqueue", "t", "--expires-in", "0s"], "`expires-in` is 0"),
        (&["enqueue", "t", "--expires-in=-5s"], "invalid value '-5s'"),
        (&["enqueue", "t", "--in", "2h", "--expires-in", "1h"], "would expire before its time has come"),
        (&["enqueue", "--jsonl", "-", "--at", "2001-01-01T00:00:00Z"], "leave `at` away"),
        (&["enqueue", "t", "--id", "a b"], "a job's id is"),
        (&["enqueue", "t", "--max-attempts", "0"], "max_attempts is 0"),
        (&["enqueue", "t", "--max-attempts", "-3"], "-3"),
        (&["enqueue", "t", "--priority", "1001"], "priority is 1001, it must be from -1000 to 1000"),
        (&["enqueue", "t", "--min-backoff", "2s", "--max-backoff", "1s"], "longer than its max_backoff"),
        (&["enqueue", "t", "--memory", "much"], "invalid value 'much'"),
        (&["enqueue", "t", "x", "--file", "y"], "cannot be used with"),
        (&["enqueue", "t", "--jsonl", "x"], "cannot be used with"),
        (&["worker", "--queues", "a=0"], "`0` is not a weight for the queue a: write a whole number"),
        (&["worker", "--queues", "a=much,b"], "`much` is not a weight for the queue a"),
        (&["worker", "--queues", "a,b,a=2"], "the queue a is named twice: name it once"),
        (&["worker", "--queues", "a=1,b", "--strict"], "a strict order has no weights: leave the weight of a=1 out"),
        (&["worker", "--queues", "a/b=1"], "`a/b` is not a name"),
    ] {
        cli.run(arguments).fails(2, &[words]);
    }
    assert!(!cli.folder.path().join("jobs.db").exists(), "a wrong call does not touch the broker");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let cli = Cli::sqlite();
    cli.run(&["enqueue", "t", "@no.json"]).fails(1, &["failed to read the payload no.json", "No such file"]);
    cli.run(&["enqueue", "--jsonl", "no.jsonl"]).fails(1, &["failed to open no.jsonl", "No such file"]);
}

#[test]
fn an_unreachable_redis_is_said_soon_and_without_its_password() {
    let cli = Cli::on(NOBODY);
    for arguments in
        [&["enqueue", "t"] as &[&str], &["job", "show", "j"], &["dead", "retry", "--all"], &["queue", "ls"]]
    {
        let started = Instant::now();
        let run = cli.run(&[arguments, &["-vv"]].concat());
        assert!(started.elapsed() < Duration::from_secs(10), "{arguments:?} took {:?}", started.elapsed());
        assert!(!run.stderr.contains("s3cret") && run.stdout.is_empty(), "{run:?}");
        run.fails(1, &["redis://127.0.0.1:1", "cannot be reached", "start it, or name another one with --broker"]);
    }
}

#[test]
fn a_redis_that_does_not_answer_is_given_up_within_seconds() {
    let cli = Cli::redis();
    cli.server().pause();
    let started = Instant::now();
    let run = cli.run(&["queue", "ls"]);
    cli.server().resume();
    assert!(started.elapsed() < Duration::from_secs(10), "it took {:?}", started.elapsed());
    run.fails(1, &[cli.url.as_str(), "answer", "within"]);
}

#[test]
fn a_wrong_password_is_said_without_showing_it() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let cli = Cli::on(format!("redis://:s3cret@{}", server.address()));
    let run = cli.run(&["queue", "ls", "-vv"]);
    assert!(!run.stderr.contains("s3cret"), "{run:?}");
    run.fails(1, &[&server.url(), "password"]);
}

#[test]
fn what_is_no_broker_is_said_without_its_password() {
    let cli = Cli::sqlite();
    for (url, words) in [
        ("amqp://ann:s3cret@host", "`amqp:` is not a broker this program knows: use sqlite:PATH"),
        ("ann:s3cret@host", "is not a broker this program knows"),
        ("redis+ring://ann:s3cret@host", "is not a broker this program knows"),
    ] {
        let by_flag = cli.run(&["job", "ls", "--broker", url]);
        let by_environment = Run::of(cli.command(&["job", "ls"]).env("AFRESH_BROKER", url).output().unwrap());
        for run in [by_flag, by_environment] {
            assert!(!run.stderr.contains("s3cret"), "{run:?}");
            run.fails(2, &[words]);
        }
    }
}

#[test]
fn a_cluster_and_sentinels_that_are_not_there_are_said_in_one_line() {
    for url in ["redis+cluster://ann:s3cret@127.0.0.1:1,127.0.0.1:2", "redis+sentinel://ann:s3cret@127.0.0.1:1/main"] {
        let run = Cli::on(url).run(&["job", "ls"]);
        assert!(!run.stderr.contains("s3cret") && run.stderr.lines().count() == 1, "{run:?}");
        run.fails(1, &["cannot be reached", "start it, or name another one with --broker"]);
    }
    let run = Cli::on("redis+sentinel://ann:s3cret@127.0.0.1:1").run(&["job", "ls"]);
    assert!(!run.stderr.contains("s3cret"), "{run:?}");
    run.fails(1, &["the name of the primary is missing", "write redis+sentinel://HOST:PORT,HOST:PORT/MASTER"]);
}

#[test]
fn a_file_that_is_no_broker_is_said_and_left_alone() {
    let cli = Cli::sqlite();
    let text = "a letter to a friend\n".repeat(100);
    cli.file("jobs.db", &text);
    cli.run(&["enqueue", "t"]).fails(1, &["jobs.db"]);
    assert_eq!(std::fs::read_to_string(cli.folder.path().join("jobs.db")).unwrap(), text);
}

#[test]
fn the_defaults_are_printed_even_where_the_configuration_is_wrong() {
    let cli = Cli::sqlite();
    cli.file("afresh.toml", "[worker]\nleese = \"5s\"\n");
    cli.run(&["job", "ls"]).fails(1, &["the configuration afresh.toml is not valid", "leese"]);
    assert!(cli.run(&["config"]).ok().contains("\n[worker]\n"));
    let defaults: serde_json::Value = serde_json::from_str(&cli.run(&["config", "--json"]).ok()).unwrap();
    assert_eq!(defaults["broker"], "sqlite:.afresh/jobs.db");
}
