//! Limits, the memory budget, and the terms they come from: what a guest does ends with its attempt, and is told.

use std::time::Duration;

use afresh_queue::{JobOptions, JobView, NewJob, Timestamp};

use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes, timeout};

on_each_broker!(
    every_wall_ends_its_attempt_and_not_its_neighbours,
    an_error_text_of_a_mebibyte_leaves_a_small_record,
    attempts_wait_for_memory_and_run_one_at_a_time,
    the_job_wins_over_the_task_and_the_operator_over_both,
    a_payload_the_task_cannot_read_is_not_tried_again,
);

fn every_wall_ends_its_attempt_and_not_its_neighbours(site: &mut Site) {
    site.task("spin", &guests::spin());
    site.task("sleep", &guests::nap(600_000, ""));
    site.task("hoard", &guests::hoard(4_000));
    site.task("pour", &guests::pour(1, 64, 0));
    site.task("echo", &guests::echo());
    let short = || timeout(Duration::from_millis(200));
    let small = JobOptions { memory: Some(2 << 20), ..hasty(1) };
    let jobs = [
        ("spin", short(), "timed_out", "ran into its time limit of 200ms"),
        ("sleep", short(), "timed_out", "ran into its time limit of 200ms"),
        ("hoard", small, "out_of_memory", "the limit is 2 MiB"),
        ("pour", hasty(1), "over_limit", "the limit is 1048576"),
    ];
    let _worker = site.worker().slots(2).start();
    let bad: Vec<_> =
        jobs.iter().map(|(task, options, ..)| site.enqueue(NewJob::new(*task, "").options(options.clone()))).collect();
    let good: Vec<_> = (0..20).map(|n| site.enqueue(NewJob::new("echo", n.to_string()))).collect();
    for (n, id) in good.iter().enumerate() {
        assert_eq!(site.succeeds(id), n.to_string());
        assert_eq!(outcomes(&site.job(id)), ["succeeded"]);
    }
    for (id, (_, _, outcome, message)) in bad.iter().zip(&jobs) {
        let job = site.dies(id);
        assert_eq!(outcomes(&job), [*outcome], "{job:#?}");
        assert!(message_of(&job).contains(message), "{job:#?}");
    }
}

fn an_error_text_of_a_mebibyte_leaves_a_small_record(site: &mut Site) {
    site.task("command", &guests::pour(2, 32, 1));
    site.task("sdk", &guests::verdict(1, 1 << 20));
    let ids = ["command", "sdk"].map(|task| site.enqueue(NewJob::new(task, "").options(hasty(12))));
    let _worker = site.worker().slots(2).start();
    for id in &ids {
        let job = site.dies(id);
        assert_eq!((job.attempts_started, job.attempts.len() <= 10), (12, true));
        assert_eq!(job.attempts[0].number, 12, "the newest are kept");
        let error = job.attempts[0].error.as_ref().unwrap();
        assert!(error.truncated && error.total_bytes >= 1 << 20 && error.message.len() <= 4096, "{error:?}");
        assert!(serde_json::to_vec(&job.attempts).unwrap().len() < 32 << 10, "all of it, NUL by NUL");
        if let Some(redis) = &site.redis {
            // All fields: a sample of five that happens to hold the history counts it for each.
            let answer = redis.command(&format!("MEMORY USAGE afresh:{{default}}:job:{id} SAMPLES 0"));
            let bytes: u64 = answer.trim().trim_start_matches(':').parse().unwrap_or_else(|_| panic!("{answer}"));
            assert!(bytes < 32 << 10, "{bytes} bytes");
        }
    }
}

fn attempts_wait_for_memory_and_run_one_at_a_time(site: &mut Site) {
    site.task("nap", &guests::nap(100, "done"));
    let large = JobOptions { memory: Some(64 << 20), ..hasty(1) };
    let ids: Vec<_> = (0..6).map(|_| site.enqueue(NewJob::new("nap", "").options(large.clone()))).collect();
    let mut worker = site.worker().slots(4).memory_budget("64MiB").burst().start();
    assert_eq!(worker.ends(), 0);
    ids.iter().for_each(|id| assert_eq!(site.succeeds(id), "done"));
    // By the worker's own clock: those of single leases differ by the way from the broker to the worker.
    let started = worker.events().into_iter().filter(|event| event.message() == "attempt started");
    let starts: Vec<Timestamp> = started.map(|event| event.field("timestamp").into()).map(at).collect();
    assert_eq!(starts.len(), ids.len());
    for pair in starts.windows(2) {
        assert!(pair[1] >= pair[0].after(Duration::from_millis(95)), "one began while another ran: {starts:?}");
    }
}

/// The instant that a line of the log names.
fn at(text: serde_json::Value) -> Timestamp {
    serde_json::from_value(text).expect("a line of the log names its instant")
}

fn the_job_wins_over_the_task_and_the_operator_over_both(site: &mut Site) {
    site.module(
        "tasks/any.wasm",
        &guests::wasm(&guests::endless(concat!(
            r#"{"task":"open","timeout_ms":200,"max_attempts":2,"min_backoff_ms":1,"max_backoff_ms":2}"#,
            "\n",
            r#"{"task":"tight","timeout_ms":200,"max_attempts":2}"#,
        ))),
    );
    site.task("plain", &guests::spin());
    site.config(
        "[defaults]\ntimeout = \"250ms\"\nmax_attempts = 1\n[limits]\ntimeout = \"400ms\"\n\
         [tasks.tight]\ntimeout = \"120ms\"\nmax_attempts = 1\n",
    );
    let _worker = site.worker().slots(4).start();
    let long = || timeout(Duration::from_secs(60));
    let greedy = JobOptions { max_attempts: Some(9), ..long() };
    let jobs = [
        ("plain", JobOptions::default(), "250ms", 1),
        ("open", JobOptions::default(), "200ms", 2),
        ("open", timeout(Duration::from_millis(100)), "100ms", 1),
        ("open", long(), "400ms", 1),
        ("tight", greedy, "120ms", 1),
    ];
    let ids: Vec<_> =
        jobs.iter().map(|(task, options, ..)| site.enqueue(NewJob::new(*task, "").options(options.clone()))).collect();
    for (id, (task, _, limit, attempts)) in ids.iter().zip(&jobs) {
        let job = site.dies(id);
        assert_eq!(job.attempts_started, *attempts, "{task}: {job:#?}");
        assert!(message_of(&job).contains(&format!("time limit of {limit},")), "{task}: {job:#?}");
    }
}

fn a_payload_the_task_cannot_read_is_not_tried_again(site: &mut Site) {
    site.task("strict", &guests::verdict(5, 10));
    let id = site.enqueue(NewJob::new("strict", "{").options(hasty(9)));
    let worker = site.worker().start();
    let job = site.dies(&id);
    assert_eq!((job.attempts_started, outcomes(&job)), (1, vec!["rejected"]));
    assert_eq!(job.attempts[0].error.as_ref().unwrap().kind, "bad_payload");
    let dead = worker.says("the job is dead");
    assert!(dead.says(&format!("afresh dead show {id}")), "{dead}");
}

fn message_of(job: &JobView) -> &str {
    &job.attempts[0].error.as_ref().expect("it failed").message
}
