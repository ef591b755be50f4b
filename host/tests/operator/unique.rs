//! `afresh enqueue` with what makes a job one of its kind or bounds its wait: keys, unique keys, expiry.

use std::time::Duration;

use afresh_harness::{SOON, wait_until};
use afresh_protocol::Outcome;

use crate::cli::{Cli, Run, on_each_broker};

/// Enqueues a job with this id and these flags, and says whether it was accepted.
fn accepted(cli: &Cli, id: &str, flags: &[&str]) -> bool {
    let run = cli.run(&[&["enqueue", "t", "--id", id, "--json"], flags].concat());
    serde_json::from_str::<serde_json::Value>(&run.ok()).unwrap()["created"].as_bool().unwrap()
}

#[test]
fn while_a_job_holds_a_unique_key_its_double_is_told_the_id_of_that_job() {
    on_each_broker(|cli| {
        cli.run(&["enqueue", "t", "--id", "first", "--unique-key", "order:7"]).ok();
        let double = cli.run(&["enqueue", "t", "--id", "second", "--unique-key", "order:7"]);
        assert!(double.stderr.contains("job first holds the unique key, so nothing was enqueued"), "{double:?}");
        assert_eq!(double.ok(), "first");
        let json = cli.run(&["enqueue", "t", "--unique-key", "order:7", "--json"]).ok();
        assert_eq!(json.replace([' ', '\n'], ""), r#"{"id":"first","created":false}"#);
        assert!(accepted(cli, "other", &["--unique-key", "order:7", "--queue", "mail"]), "another queue's key");
        cli.run(&["job", "rm", "other"]).ok();

        cli.work(Outcome::Succeeded(Vec::new()));
        assert!(accepted(cli, "third", &["--unique-key", "order:7"]), "it has ended, and holds the key no more");
        assert_eq!(cli.ids(&["job", "ls"]), ["third", "first"]);
    });
}

#[test]
fn of_programs_that_enqueue_with_one_unique_key_at_once_one_does() {
    on_each_broker(|cli| {
        for round in 0..3 {
            let key = format!("order:{round}");
            let both: Vec<_> = (0..2).map(|_| cli.start(&["enqueue", "t", "--unique-key", &key])).collect();
            let runs = both.into_iter().map(|program| Run::of(program.wait_with_output().unwrap()));
            let (notes, ids): (Vec<_>, Vec<_>) = runs.map(|run| (run.stderr.clone(), run.ok())).unzip();
            assert_eq!(ids[0], ids[1], "both are told the same job");
            let refused = notes.iter().filter(|note| note.contains("holds the unique key")).count();
            assert_eq!((refused, cli.ids(&["job", "ls"]).len()), (1, round + 1), "{notes:?}");
        }
    });
}

#[test]
fn a_unique_key_is_held_as_long_as_it_was_asked_for() {
    on_each_broker(|cli| {
        assert!(accepted(cli, "waits", &["--unique-key", "w", "--unique-while", "queued"]));
        assert!(!accepted(cli, "no", &["--unique-key", "w", "--unique-while", "queued"]));
        cli.work(Outcome::Succeeded(Vec::new()));
        assert!(accepted(cli, "next", &["--unique-key", "w", "--unique-while", "queued"]));
        cli.work(Outcome::Succeeded(Vec::new()));

        assert!(accepted(cli, "hour", &["--unique-key", "h", "--unique-for", "1h"]));
        cli.work(Outcome::Succeeded(Vec::new()));
        assert!(!accepted(cli, "no", &["--unique-key", "h", "--unique-for", "1h"]), "though it has ended");
        assert!(accepted(cli, "blink", &["--unique-key", "b", "--unique-for", "50ms"]));
        assert!(wait_until(SOON, || accepted(cli, "again", &["--unique-key", "b"])), "its time is over");
    });
}

#[test]
fn a_file_of_lines_says_which_jobs_were_there_already() {
    on_each_broker(|cli| {
        let lines = br#"{"task":"t","id":"1","unique_key":"k"}
            {"task":"t","id":"2","unique-key":"k","unique-for":"1h"}
            {"task":"t","id":"3","concurrency_key":"ann","expires_in":"1h"}"#;
        let run = cli.run_with(&["enqueue", "--jsonl", "-"], lines);
        assert!(run.stderr.contains("job 1 holds the unique key"), "{run:?}");
        assert_eq!(run.ok(), "1\n1\n3");
        assert_eq!((cli.show("1")["unique_key"].as_str(), cli.show("3")["key"].as_str()), (Some("k"), Some("ann")));
        assert!(cli.show("3")["expires_at"].is_string());

        let wrong = b"{\"task\":\"t\",\"id\":\"4\"}\n{\"task\":\"t\",\"at\":\"2001-01-01T00:00:00Z\"}";
        cli.run_with(&["enqueue", "--jsonl", "-"], wrong)
            .fails(1, &["nothing was enqueued", "line 2 of standard input", "leave `at` away to run it now"]);
        let long = format!("{{\"task\":\"t\",\"id\":\"5\"}}\n{{\"task\":\"t\",\"key\":\"{}\"}}", "k".repeat(129));
        cli.run_with(&["enqueue", "--jsonl", "-"], long.as_bytes())
            .fails(1, &["nothing was enqueued", "line 2", "its key", "1 to 128 bytes"]);
        assert_eq!(cli.ids(&["job", "ls"]).len(), 2);
    });
}

#[test]
fn a_key_is_kept_with_its_job_and_may_come_from_the_environment() {
    on_each_broker(|cli| {
        cli.run(&["enqueue", "t", "--id", "a", "--concurrency-key", "customer:42"]).ok();
        let by_variable =
            Run::of(cli.command(&["enqueue", "t", "--id", "b"]).env("AFRESH_KEY", "ann").output().unwrap());
        by_variable.ok();
        assert_eq!(["a", "b"].map(|id| cli.show(id)["key"].clone()), ["customer:42", "ann"]);
    });
}

#[test]
fn a_job_that_was_not_started_in_time_expires() {
    on_each_broker(|cli| {
        cli.run(&["enqueue", "t", "--id", "late", "--expires-in", "1ms"]).ok();
        cli.enqueue("t", "fresh");
        std::thread::sleep(Duration::from_millis(2));
        cli.work(Outcome::Succeeded(Vec::new()));
        assert_eq!(["late", "fresh"].map(|id| cli.state(id)), ["expired", "succeeded"]);
        assert_eq!(cli.ids(&["job", "ls", "--state", "expired"]), ["late"]);
        cli.run(&["enqueue", "t", "--id", "late", "--wait"])
            .fails(1, &["job late is expired: it was not started in time"]);
    });
}
