//! `afresh limit`, and pausing and fair queues: what holds jobs back, and what a person sees and does about it.

use afresh_protocol::Outcome;
use serde_json::{Value, json};

use crate::cli::{Cli, Run, on_each_broker};

/// What a listing prints as JSON.
fn json_of(cli: &Cli, arguments: &[&str]) -> Value {
    serde_json::from_str(&cli.run(&[arguments, &["--json"]].concat()).ok()).unwrap()
}

/// Enqueues jobs of a task for a key.
fn enqueue_for(cli: &Cli, task: &str, key: &str, ids: &[&str]) {
    for id in ids {
        cli.run(&["enqueue", task, "--key", key, "--id", id]).ok();
    }
}

#[test]
fn no_more_jobs_of_a_task_run_than_its_limit_and_the_others_are_held_and_say_by_what() {
    on_each_broker(|cli| {
        let set = cli.run(&["limit", "set", "--task", "import", "--concurrency", "1"]);
        assert!(set.stderr.contains("the queue default has had no job yet"), "{set:?}");
        assert_eq!(set.ok(), "limited the task import of the queue default to 1 at the same time");
        cli.enqueue("import", "a");
        cli.enqueue("import", "b");
        cli.enqueue("other", "c");
        let (first, second) = (cli.lease(), cli.lease());
        assert_eq!([&first, &second].map(|lease| lease.job.id.as_str()), ["a", "c"]);
        assert!(cli.lease_if_any().is_none());

        assert_eq!(cli.show("b")["held_by"], "task:import");
        let page = cli.run(&["job", "show", "b"]).ok();
        assert!(page.contains("held by     the limit of task:import"), "{page}");
        assert!(page.contains("afresh limit ls --queue default"), "{page}");
        assert!(cli.run(&["job", "ls"]).ok().contains("queued, held"));
        assert_eq!(json_of(cli, &["queue", "show", "default"])["held"], 1);
        let limits = json_of(cli, &["limit", "ls"]);
        let rule = json!([{"queue": "default", "scope": "task:import", "concurrency": 1, "rate": null, "paused": false,
            "running": 1, "held": 1}]);
        assert_eq!(limits, rule);

        cli.settle(&first, Outcome::Succeeded(Vec::new()));
        assert_eq!(cli.lease().job.id.as_str(), "b");
    });
}

#[test]
fn a_job_that_a_newer_version_wrote_says_that_it_waits_for_a_newer_worker() {
    let cli = Cli::redis();
    cli.enqueue("t", "a");
    cli.server().command(r#"HSET afresh:{default}:short a "4 1000000000000 t ""#);
    assert!(cli.lease_if_any().is_none());
    assert_eq!(cli.show("a")["held_by"], "record:4");
    let page = cli.run(&["job", "show", "a"]).ok();
    assert!(page.contains("held by     its record, of version 4: it waits for a worker of a newer Afresh"), "{page}");
    assert!(page.contains("afresh workers "), "{page}");
    assert!(cli.run(&["queue", "ls"]).ok().contains("waits for a newer worker"));
    assert_eq!(json_of(&cli, &["queue", "show", "default"])["newer"], 1);
    let page = cli.run(&["queue", "show", "default"]).ok();
    assert!(page.contains("afresh workers   see which versions work here: 1 job waits for a newer one"), "{page}");
}

#[test]
fn each_key_has_its_limit_and_one_key_may_have_another() {
    on_each_broker(|cli| {
        cli.run(&["limit", "set", "--each-key", "--concurrency", "1"]).ok();
        cli.run(&["limit", "set", "--key", "big", "--concurrency", "2"]).ok();
        enqueue_for(cli, "t", "ann", &["a1", "a2"]);
        enqueue_for(cli, "t", "big", &["b1", "b2", "b3"]);
        let running: Vec<_> = (0..3).map(|_| cli.lease().job.id.to_string()).collect();
        assert_eq!((running, cli.lease_if_any()), (vec!["a1".to_owned(), "b1".to_owned(), "b2".to_owned()], None));
        let table = cli.run(&["limit", "ls"]).ok();
        for words in ["key:big", "each key"] {
            assert!(table.contains(words), "{table}");
        }
        assert!(cli.run(&["job", "show", "a2"]).ok().contains("the limit of key:ann"));

        assert!(cli.run(&["limit", "rm", "--each-key"]).ok().starts_with("took away the limit of each key"));
        assert_eq!(cli.lease().job.id.as_str(), "a2");
    });
}

#[test]
fn a_limit_takes_the_place_of_the_one_before_and_says_which_that_was() {
    on_each_broker(|cli| {
        cli.enqueue("t", "j");
        let set = |flags: &[&str]| cli.run(&[&["limit", "set"], flags].concat()).ok();
        assert_eq!(set(&["--rate", "100/s", "--burst", "5"]), "limited the queue default to 100/s with a burst of 5");
        assert_eq!(
            set(&["--concurrency", "2", "--rate", "5/m"]),
            "limited the queue default to 2 at the same time, and 5/m with a burst of 1 (it was 100/s with a burst of 5)"
        );
        let rule = json_of(cli, &["limit", "ls", "--queue", "default"])[0].clone();
        assert_eq!((&rule["scope"], &rule["concurrency"]), (&json!("queue"), &json!(2)));
        assert_eq!(rule["rate"], json!({"every_us": 12_000_000, "burst": 1}));
        assert!(cli.run(&["limit", "ls"]).ok().contains("5/m, burst 1"));
        assert_eq!(json_of(cli, &["limit", "ls", "--queue", "other"]), json!([]));

        let by_variable = cli.command(&["limit", "set"]).env("AFRESH_LIMIT_CONCURRENCY", "7").output().unwrap();
        assert!(Run::of(by_variable).ok().starts_with("limited the queue default to 7 at the same time (it was 2"));

        assert_eq!(json_of(cli, &["limit", "rm"])["concurrency"], 7);
        let none = cli.run(&["limit", "ls"]);
        assert!(none.stderr.contains(&format!("no limits in {}", cli.url)), "{none:?}");
        cli.run(&["limit", "rm"]).fails(1, &["there is no limit of the queue default", "afresh limit ls"]);
    });
}

#[test]
fn a_rate_lets_no_more_start_than_its_burst_at_once() {
    on_each_broker(|cli| {
        cli.run(&["limit", "set", "--rate", "1/h", "--burst", "2"]).ok();
        for id in ["a", "b", "c"] {
            cli.enqueue("t", id);
        }
        cli.work(Outcome::Succeeded(Vec::new()));
        cli.work(Outcome::Succeeded(Vec::new()));
        assert!(cli.lease_if_any().is_none());
    });
}

#[test]
fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    on_each_broker(|cli| {
        cli.enqueue("t", "j");
        assert!(cli.run(&["queue", "pause", "default"]).ok().starts_with("paused the queue default"));
        assert_eq!(cli.run(&["queue", "pause", "default"]).ok(), "the queue default is paused already");
        assert!(cli.lease_if_any().is_none());
        let page = cli.run(&["job", "show", "j"]).ok();
        assert!(page.contains("held by     the pause of the queue"), "{page}");
        assert!(page.contains("afresh queue resume default"), "{page}");
        assert!(cli.run(&["queue", "ls"]).ok().contains("paused"));
        assert!(cli.run(&["queue", "show", "default"]).ok().contains("afresh queue resume default"));
        assert_eq!(json_of(cli, &["queue", "ls"])[0]["paused"], true);

        assert_eq!(json_of(cli, &["queue", "resume", "default"])["changed"], true);
        assert_eq!(cli.run(&["queue", "resume", "default"]).ok(), "the queue default is not paused");
        assert_eq!(cli.lease().job.id.as_str(), "j");
    });
}

#[test]
fn a_listing_of_queues_has_a_column_for_what_there_is_and_programs_read_all_of_it() {
    on_each_broker(|cli| {
        cli.enqueue("t", "j");
        let plain = cli.run(&["queue", "ls"]).ok();
        assert!(!["HELD", "EXPIRED", "SETTINGS"].iter().any(|heading| plain.contains(heading)), "{plain}");
        let queue = json_of(cli, &["queue", "ls"])[0].clone();
        assert_eq!([&queue["held"], &queue["expired"]], [&json!(0), &json!(0)]);
        assert_eq!((&queue["paused"], &queue["rules"]), (&json!(false), &json!([])));

        cli.run(&["queue", "fair", "default"]).ok();
        cli.run(&["limit", "set", "--task", "t", "--concurrency", "1"]).ok();
        let _running = cli.lease();
        cli.enqueue("t", "held");
        assert!(cli.lease_if_any().is_none());
        let full = cli.run(&["queue", "ls"]).ok();
        assert!(full.contains("HELD") && full.contains("limited, fair") && !full.contains("EXPIRED"), "{full}");
        let page = cli.run(&["queue", "show", "default"]).ok();
        assert!(page.contains("held          1") && page.contains("expired       0"), "{page}");
    });
}

#[test]
fn a_task_or_a_key_can_be_paused_alone_and_the_page_has_the_command_to_resume_it() {
    on_each_broker(|cli| {
        cli.run(&["queue", "pause", "default", "--task", "import"]).ok();
        cli.run(&["queue", "pause", "default", "--key", "ann;reboot"]).ok();
        cli.enqueue("import", "i");
        enqueue_for(cli, "t", "ann;reboot", &["a"]);
        cli.enqueue("t", "free");
        assert_eq!(cli.lease().job.id.as_str(), "free");
        assert!(cli.lease_if_any().is_none());
        assert!(cli.run(&["queue", "ls"]).ok().contains("partly paused"));
        let page = cli.run(&["job", "show", "i"]).ok();
        assert!(page.contains("afresh queue resume default --task=import"), "{page}");
        let page = cli.run(&["job", "show", "a"]).ok();
        assert!(page.contains("afresh queue resume default --key='ann;reboot'"), "one word of a shell: {page}");

        cli.run(&["queue", "resume", "default", "--key=ann;reboot"]).ok();
        assert_eq!(cli.lease().job.id.as_str(), "a");
        assert!(cli.lease_if_any().is_none());
    });
}

#[test]
fn the_keys_of_a_fair_queue_take_turns() {
    on_each_broker(|cli| {
        assert!(cli.run(&["queue", "fair", "default"]).ok().starts_with("the queue default is fair now"));
        assert_eq!(cli.run(&["queue", "fair", "default", "on"]).ok(), "the queue default is fair already");
        enqueue_for(cli, "t", "ann", &["a1", "a2", "a3"]);
        enqueue_for(cli, "t", "bob", &["b1"]);
        let order: Vec<_> = (0..4).map(|_| cli.lease().job.id.to_string()).collect();
        assert_eq!(order, ["a1", "b1", "a2", "a3"]);
        assert!(json_of(cli, &["queue", "show", "default"])["fair"].as_bool().unwrap());
        assert_eq!(
            json_of(cli, &["queue", "fair", "default", "off"]),
            json!({"queue": "default", "fair": false, "changed": true})
        );
        assert_eq!(cli.run(&["queue", "fair", "default", "off"]).ok(), "the queue default is not fair");
    });
}

#[test]
fn what_is_held_back_is_never_chosen_by_a_variable() {
    let cli = Cli::redis();
    cli.enqueue("t", "j");
    let mut command = cli.command(&["queue", "pause", "default", "--json"]);
    command.env("AFRESH_TASK", "t").env("AFRESH_KEY", "k").env("AFRESH_QUEUE", "mail");
    let paused: Value = serde_json::from_str(&Run::of(command.output().unwrap()).ok()).unwrap();
    assert_eq!((&paused["queue"], &paused["scope"]), (&json!("default"), &json!("queue")));
}

#[test]
fn a_limit_that_makes_no_sense_is_one_sentence_and_exit_code_2() {
    let cli = Cli::sqlite();
    for (arguments, words) in [
        (&["limit", "set"] as &[&str], "required arguments"),
        (&["limit", "set", "--task", "t"], "required arguments"),
        (&["limit", "set", "--burst", "5"], "required arguments"),
        (&["limit", "set", "--concurrency", "3", "--burst", "5"], "required arguments"),
        (&["limit", "set", "--concurrency", "0"], "0 would hold every job for ever: `afresh queue pause` does that"),
        (&["limit", "set", "--concurrency", "-1"], "it must be a whole number from 1"),
        (&["limit", "set", "--concurrency", "many"], "it must be a whole number from 1"),
        (&["limit", "set", "--rate", "5"], "`5` is not a rate: write it like 100/s"),
        (&["limit", "set", "--rate", "-5/s"], "`-5/s` is not a rate"),
        (&["limit", "set", "--rate", "0/s"], "`0/s` is not a rate"),
        (&["limit", "set", "--rate", "5/s", "--burst", "0"], "burst is 0, it must be from 1"),
        (&["limit", "set", "--rate", "5/s", "--burst", "-2"], "-2"),
        (&["limit", "set", "--task", "t", "--key", "k", "--concurrency", "1"], "cannot be used with"),
        (&["limit", "set", "--each-key", "--key", "k", "--concurrency", "1"], "cannot be used with"),
        (&["limit", "set", "--task", "../t", "--concurrency", "1"], "the task: `../t` is not a name"),
        (&["limit", "set", "--key", "a b", "--concurrency", "1"], "the key: `a b` is not a key"),
        (&["limit", "set", "--queue", "a/b", "--concurrency", "1"], "`a/b` is not a name"),
        (&["limit", "rm", "--task", "t", "--each-key"], "cannot be used with"),
        (&["queue", "pause"], "required arguments"),
        (&["queue", "pause", "a/b"], "`a/b` is not a name"),
        (&["queue", "pause", "q", "--task", "t", "--key", "k"], "cannot be used with"),
        (&["queue", "resume", "q", "--key", ""], "the key: `` is not a key"),
        (&["queue", "fair", "q", "perhaps"], "invalid value 'perhaps'"),
    ] {
        cli.run(arguments).fails(2, &[words]);
    }
    assert!(!cli.folder.path().join("jobs.db").exists(), "a wrong call does not touch the broker");
}
