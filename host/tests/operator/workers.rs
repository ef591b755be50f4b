//! `afresh workers`.

use std::time::Duration;

use afresh_queue::{RunningJob, Timestamp, WorkerInfo};

use crate::cli::{Cli, HOSTILE, is_harmless, on_each_broker};

/// Does a worker's part: announces one with this name, which runs a job.
fn announce(cli: &Cli, name: &str, keep: Duration) {
    let job = RunningJob {
        job: "order:7".parse().unwrap(),
        task: HOSTILE.to_owned(),
        queue: "mail".to_owned(),
        since: Timestamp::now(),
    };
    let info = WorkerInfo {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        host: HOSTILE.to_owned(),
        pid: 4711,
        started_at: Timestamp::now(),
        queues: vec!["mail=3".to_owned()],
        slots: 4,
        memory_used_bytes: 64 << 20,
        memory_budget_bytes: 1 << 30,
        running_total: 300,
        running: vec![job],
        ..WorkerInfo::default()
    };
    cli.on_broker(async |broker| broker.announce(&info, keep).await.unwrap());
}

#[test]
fn workers_are_shown_with_what_they_run_and_nothing_acts_on_the_terminal() {
    on_each_broker(|cli| {
        announce(cli, &format!("first{HOSTILE}"), Duration::from_secs(60));
        let run = cli.run(&["workers"]);
        assert!(is_harmless(&run.stdout), "{run:?}");
        let page = run.ok();
        for words in
            ["alive", "300 of 4", "64.0 MiB of 1.0 GiB", "mail=3", "1.2.3", "4711", "order:7", "runs 299 more", "red"]
        {
            assert!(page.contains(words), "no {words:?} in\n{page}");
        }
        announce(cli, "silent", Duration::ZERO);
        let json: serde_json::Value = serde_json::from_str(&cli.run(&["workers", "--json"]).ok()).unwrap();
        assert_eq!((&json[0]["gone"], &json[1]["gone"]), (&false.into(), &true.into()));
        assert_eq!((json[1]["name"].as_str(), json[1]["slots"].as_u64()), (Some("silent"), Some(4)));
        assert_eq!(json[1]["running"][0]["job"], "order:7");
        assert!(json[1]["last_seen"].as_str().is_some_and(|at| at.ends_with('Z')), "{json}");
        assert!(cli.run(&["workers"]).ok().contains("gone"));
    });
}

#[test]
fn where_nobody_works_that_is_said() {
    on_each_broker(|cli| {
        let run = cli.run(&["workers"]);
        assert!(run.stderr.contains("start one with `afresh worker`"), "{run:?}");
        assert_eq!(run.ok(), "");
        assert_eq!(cli.run(&["workers", "--json"]).ok(), "[]");
    });
}
