//! `afresh job` and `afresh queue`.

use std::time::{Duration, Instant};

use afresh_harness::{SOON, wait_until};
use afresh_protocol::Outcome;

use crate::cli::{Cli, HOSTILE, Run, failed, is_harmless, on_each_broker};

#[test]
fn jobs_are_cancelled_retried_and_removed_several_at_once() {
    on_each_broker(|cli| {
        for id in ["a", "b"] {
            cli.enqueue("t", id);
        }
        assert_eq!(cli.run(&["job", "cancel", "a", "b", "a"]).ok(), "cancelled a\ncancelled b");
        assert_eq!(["a", "b"].map(|id| cli.state(id)), ["cancelled", "cancelled"]);
        assert_eq!(cli.run(&["job", "retry", "a"]).ok(), "retried a");
        assert_eq!(cli.state("a"), "queued");
        assert_eq!(cli.run(&["job", "rm", "a", "b"]).ok(), "removed a\nremoved b");
        assert!(cli.ids(&["job", "ls"]).is_empty());
    });
}

#[test]
fn what_could_not_be_done_to_a_job_is_said_and_the_others_are_done() {
    on_each_broker(|cli| {
        cli.enqueue("t", "there");
        let run = cli.run(&["job", "cancel", "gone", "there"]);
        assert_eq!(run.stdout, b"cancelled there\n");
        run.fails(1, &["there is no job gone in", cli.url.as_str()]);
        cli.run(&["job", "cancel", "there"])
            .fails(1, &["job there is cancelled", "only one that is scheduled, queued or running"]);
        let json = cli.run(&["job", "rm", "gone", "there", "--json"]);
        let rows: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(rows, serde_json::json!([{"id": "gone", "done": false}, {"id": "there", "done": true}]));
        json.fails(1, &["gone"]);
    });
}

#[test]
fn a_running_job_is_cancelled_once_its_worker_has_ended_it() {
    on_each_broker(|cli| {
        cli.enqueue("t", "j");
        let lease = cli.lease();
        let waiting = cli.start(&["job", "cancel", "j"]);
        assert!(cli.is_cancelled(&lease));
        let page = cli.run(&["job", "show", "j"]).ok();
        assert!(page.contains("its worker was asked to end it") && !page.contains("afresh job cancel"), "{page}");
        assert!(cli.run(&["job", "ls"]).ok().contains("running, cancelling"));
        assert_eq!(cli.run(&["job", "cancel", "j", "--no-wait"]).ok(), "asked the worker of j to end it");
        cli.settle(&lease, Outcome::Cancelled);
        let run = Run::of(waiting.wait_with_output().unwrap());
        assert_eq!((run.ok().as_str(), cli.state("j").as_str()), ("cancelled j", "cancelled"));
        cli.run(&["job", "cancel", "j"]).fails(1, &["job j is cancelled"]);
        assert!(cli.run(&["job", "show", "j"]).ok().contains("afresh job retry j"));
    });
}

#[test]
fn a_job_that_ends_before_its_worker_hears_of_it_is_not_called_cancelled() {
    on_each_broker(|cli| {
        cli.enqueue("t", "j");
        let lease = cli.lease();
        let waiting = cli.start(&["job", "cancel", "j", "--json"]);
        assert!(cli.is_cancelled(&lease));
        cli.settle(&lease, Outcome::Succeeded(Vec::new()));
        let run = Run::of(waiting.wait_with_output().unwrap());
        let rows: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(rows, serde_json::json!([{"id": "j", "done": false, "asked": false}]));
        run.fails(1, &["job j is succeeded: it ended before its worker could cancel it"]);
    });
}

#[test]
fn a_worker_that_does_not_end_a_job_is_waited_for_seconds_not_for_ever() {
    let cli = Cli::redis();
    cli.enqueue("t", "j");
    let _lease = cli.lease();
    let started = Instant::now();
    let run = cli.run(&["job", "cancel", "j"]);
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());
    assert!(run.stderr.contains("job j has not ended yet: `afresh job show j`"), "{run:?}");
    assert_eq!(run.ok(), "asked the worker of j to end it");
}

#[test]
fn a_job_shows_how_far_it_is_and_what_it_logged() {
    on_each_broker(|cli| {
        cli.run(&["enqueue", "t", "--id", "j", "--key", "ann", "--unique-key", "u", "--expires-in", "1h"]).ok();
        assert!(cli.run(&["job", "show", "j"]).ok().contains("expires     "));
        let lease = cli.lease();
        cli.note(&lease, 0.29, "half");
        cli.note(&lease, 0.29, HOSTILE);
        let page = cli.run(&["job", "show", "j"]).ok();
        for line in ["progress    29 %", "key         ann", "unique key  u", "afresh job log j"] {
            assert!(page.contains(line), "no {line:?} in\n{page}");
        }
        assert!(!page.contains("expires"), "it has started: {page}");
        assert!(cli.run(&["job", "ls"]).ok().contains("running, 29 %"));

        let log = cli.run(&["job", "log", "j"]);
        assert!(is_harmless(&log.stdout), "{log:?}");
        let log = log.ok();
        let lines: Vec<_> = log.lines().collect();
        assert!(lines[0].ends_with("Z attempt 1 [info] half"), "{log}");
        assert!(lines[1].contains("attempt 1 [info] \\u{1b}[31mred") && lines.len() == 2, "{log}");
        let log: serde_json::Value = serde_json::from_str(&cli.run(&["job", "log", "j", "--json"]).ok()).unwrap();
        assert_eq!((log[0]["number"].as_u64(), log[1]["text"].as_str()), (Some(1), Some(HOSTILE)));
        cli.run(&["job", "rm", "j"]).fails(1, &["job j is running: cancel it first"]);
    });
}

#[test]
fn a_job_without_a_log_and_an_unknown_job_are_told_apart() {
    on_each_broker(|cli| {
        cli.enqueue("t", "j");
        let run = cli.run(&["job", "log", "j"]);
        assert!(run.stderr.contains("job j has logged nothing"), "{run:?}");
        assert_eq!(run.ok(), "");
        assert_eq!(cli.run(&["job", "log", "j", "--json"]).ok(), "[]");
    });
}

#[test]
fn an_expired_job_runs_after_all_when_it_is_retried() {
    on_each_broker(|cli| {
        cli.run(&["enqueue", "t", "--id", "late", "--expires-in", "1ms"]).ok();
        assert!(wait_until(SOON, || cli.lease_if_any().is_none() && cli.state("late") == "expired"));
        assert!(cli.run(&["job", "show", "late"]).ok().contains("afresh job retry late"));
        assert_eq!(cli.run(&["job", "retry", "late"]).ok(), "retried late");
        assert_eq!(cli.lease().job.id.as_str(), "late");
        cli.run(&["job", "retry", "late"])
            .fails(1, &["job late is running: only one that is dead, cancelled or expired"]);
    });
}

#[test]
fn an_unknown_job_is_one_sentence() {
    on_each_broker(|cli| {
        for verb in [
            ["job", "show"],
            ["job", "result"],
            ["job", "log"],
            ["job", "cancel"],
            ["job", "rm"],
            ["dead", "show"],
            ["dead", "retry"],
        ] {
            cli.run(&[verb[0], verb[1], "nobody"]).fails(1, &["there is no job nobody in"]);
        }
    });
}

#[test]
fn a_result_is_printed_byte_for_byte_once_it_is_there() {
    on_each_broker(|cli| {
        cli.enqueue("t", "j");
        cli.run(&["job", "result", "j"]).fails(1, &["job j is queued and has no result yet"]);
        cli.work(Outcome::Succeeded(b"\x1b\x00\xff\n".to_vec()));
        assert_eq!(cli.run(&["job", "result", "j"]).stdout, b"\x1b\x00\xff\n");
        cli.enqueue("t", "k");
        cli.work(failed("no"));
        cli.run(&["job", "result", "k"]).fails(1, &["job k is dead and has no result", "afresh job show k"]);
    });
}

#[test]
fn listings_show_what_is_asked_for_and_no_more_than_the_limit() {
    on_each_broker(|cli| {
        for n in 1..=4 {
            cli.enqueue(if n < 4 { "often" } else { "seldom" }, &format!("j{n}"));
        }
        cli.run(&["job", "cancel", "j1"]).ok();
        assert_eq!(cli.ids(&["job", "ls", "--task", "seldom"]), ["j4"]);
        assert_eq!(cli.ids(&["job", "ls", "--state", "cancelled"]), ["j1"]);
        assert_eq!(cli.ids(&["job", "ls", "--limit", "2"]), ["j4", "j3"]);
        let none = cli.run(&["job", "ls", "--queue", "other"]);
        assert!(none.stderr.contains(&format!("no such jobs in {}", cli.url)), "{none:?}");
        assert_eq!(cli.run(&["job", "ls", "--queue", "other", "--json"]).ok(), "[]");
    });
}

#[test]
fn escape_sequences_of_a_guest_or_a_worker_never_reach_the_terminal() {
    on_each_broker(|cli| {
        cli.enqueue("t", "j");
        cli.work(failed(HOSTILE));
        for arguments in [&["job", "show", "j"] as &[&str], &["job", "ls"], &["dead", "ls"], &["dead", "show", "j"]] {
            let run = cli.run(arguments);
            assert!(is_harmless(&run.stdout) && is_harmless(run.stderr.as_bytes()), "{run:?}");
        }
        let page = cli.run(&["job", "show", "j"]).ok();
        assert!(page.contains("\\u{1b}[31mred") && page.contains("afresh dead retry j"), "{page}");
    });
}

#[test]
fn a_queue_is_purged_of_what_has_not_begun_after_a_yes() {
    on_each_broker(|cli| {
        cli.enqueue("t", "dead");
        cli.work(failed("no"));
        cli.enqueue("t", "waits");
        cli.run(&["enqueue", "t", "--in", "1h", "--id", "later"]).ok();
        cli.run(&["queue", "purge", "default"]).fails(2, &["2 jobs of the queue default will be removed", "--yes"]);
        assert_eq!(cli.state("waits"), "queued");
        assert_eq!(cli.run(&["queue", "purge", "default", "--yes"]).ok(), "removed 2 jobs");
        assert_eq!(cli.ids(&["job", "ls"]), ["dead"]);
        cli.run(&["queue", "show", "other"]).fails(1, &["there is no queue other in", "afresh queue ls"]);
    });
}

#[test]
fn several_processes_use_one_file_at_once() {
    let cli = Cli::sqlite();
    let lines = (0..200).map(|_| "{\"task\":\"t\"}\n").collect::<String>();
    cli.file("jobs.jsonl", lines);
    let producers: Vec<_> = (0..6).map(|_| cli.start(&["enqueue", "--jsonl", "jobs.jsonl"])).collect();
    for producer in producers {
        let output = producer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let queue: serde_json::Value =
        serde_json::from_str(&cli.run(&["queue", "show", "default", "--json"]).ok()).unwrap();
    assert_eq!(queue["queued"], 1_200);
}
