//! `afresh cron`: periodic jobs as a person adds, sees, pauses and removes them.

use std::time::Duration;

use afresh_harness::{SOON, wait_until};
use afresh_queue::Timestamp;
use serde_json::{Value, json};

use crate::cli::{Cli, HOSTILE, Run, is_harmless, on_each_broker};

/// What a verb prints as JSON.
fn json_of(cli: &Cli, arguments: &[&str]) -> Value {
    serde_json::from_str(&cli.run(&[arguments, &["--json"]].concat()).ok()).unwrap()
}

/// The names that are listed, each with its cron line.
fn listed(cli: &Cli) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = json_of(cli, &["cron", "ls"]);
    rows.as_array().unwrap().iter().map(|row| (text(&row["name"]), text(&row["schedule"]))).collect()
}

/// The times that are printed, in their order.
fn times(next: &Value) -> Vec<Timestamp> {
    serde_json::from_value(next.clone()).unwrap()
}

#[test]
fn a_periodic_job_is_added_with_all_it_asks_for_and_says_when_it_is_due() {
    on_each_broker(|cli| {
        cli.file("report.bin", b"\x00\xff");
        let flags = "--timezone Europe/Berlin --missed run-once --queue mail --priority -3 --max-attempts 5 --timeout 30s \
                     --memory 64MiB --key customer:42 --min-backoff 2s --max-backoff 1h";
        let flags: Vec<_> = flags.split_whitespace().collect();
        let add = [&["cron", "add", "report", "30 7 * * *", "digest", "@report.bin"], flags.as_slice()].concat();
        let said = cli.run(&add).ok();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!((lines[0], lines[1], lines.len()), ("added report", "due next", 5), "{said}");
        for line in &lines[2..] {
            let words: Vec<_> = line.split_whitespace().collect();
            assert!(words[0].contains("T07:30:00+0") && words[1].ends_with(":30:00.000000Z"), "{line}");
            assert_eq!(words[2], "in", "{line}");
        }
        let shown = json_of(cli, &["cron", "show", "report"]);
        let wanted = json!({
            "name": "report", "schedule": "30 7 * * *", "timezone": "Europe/Berlin", "missed": "run_once",
            "queue": "mail", "task": "digest", "payload": "AP8=", "key": "customer:42",
            "options": {"priority": -3, "max_attempts": 5, "timeout_ms": 30_000, "memory": 64 << 20,
                "min_backoff_ms": 2_000, "max_backoff_ms": 3_600_000},
        });
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{name}");
        }
        assert_eq!((&shown["paused"], &shown["last_job"]), (&json!(false), &Value::Null));
        let next = times(&shown["next"]);
        assert_eq!((next.len(), &shown["next"][0]), (5, &shown["next_at"]));
        let day = Duration::from_secs(24 * 3600);
        assert!(next.windows(2).all(|pair| pair[1].until_from(pair[0]).abs_diff(day) <= day / 24), "{next:?}");
        let page = cli.run(&["cron", "show", "report"]).ok();
        for part in
            ["make one job, for all", "2 B", "customer:42", "max backoff  1h", "64.0 MiB", "afresh cron rm report"]
        {
            assert!(page.contains(part), "no {part:?} in\n{page}");
        }

        let said = cli.run(&["cron", "add", "report", "@daily", "digest", "--queue", "mail"]).ok();
        assert!(said.starts_with("changed report\ndue next\n"), "{said}");
        assert!(said.lines().skip(2).all(|line| line.contains("T00:00:00.000000Z   in ")), "once, in UTC: {said}");
        let shown = json_of(cli, &["cron", "show", "report"]);
        let parts = ["payload", "options", "missed", "key"].map(|name| shown[name].clone());
        assert_eq!(parts, [json!(""), json!({}), json!("skip"), Value::Null], "nothing is left of what it was");
    });
}

#[test]
fn its_jobs_are_made_at_their_times_and_another_one_where_a_person_wants_it() {
    on_each_broker(|cli| {
        let empty = cli.run(&["cron", "ls"]);
        assert!(empty.stderr.contains("`afresh cron add --help` shows how to add one"), "{empty:?}");
        assert_eq!(json_of(cli, &["cron", "ls"]), json!([]));
        cli.run_with(&["cron", "add", "beat", "* * * * * *", "t", "-"], b"\xfe from stdin").ok();
        assert!(wait_until(SOON, || cli.run(&["cron", "ls"]).ok().contains("s ago")), "nobody serves its queue");
        let job = cli.lease().job;
        assert!(job.id.as_str().starts_with("cron:beat:20"), "{job:?}");
        assert_eq!((job.task.as_str(), job.payload.as_slice()), ("t", &b"\xfe from stdin"[..]));
        cli.run(&["cron", "pause", "beat"]).ok();
        let shown = json_of(cli, &["cron", "show", "beat"]);
        assert!(shown["last_job"].as_str().unwrap() >= job.id.as_str() && shown["last_at"].is_string(), "{shown}");

        let id = cli.run(&["cron", "run", "beat"]).ok();
        assert_eq!(cli.payload(&id), b"\xfe from stdin", "also while it is paused");
        let json = json_of(cli, &["cron", "run", "beat"]);
        assert_eq!((json["created"].as_bool(), cli.state(json["id"].as_str().unwrap())), (Some(true), "queued".into()));
    });
}

#[test]
fn a_paused_one_stays_paused_until_it_is_resumed() {
    on_each_broker(|cli| {
        for name in ["a", "b"] {
            cli.run(&["cron", "add", name, "@hourly", "t"]).ok();
        }
        let said = cli.run(&["cron", "pause", "a", "b", "a"]).ok();
        assert_eq!(said.lines().count(), 2, "each once: {said}");
        assert!(said.starts_with("paused a: it makes no jobs until `afresh cron resume a`"), "{said}");
        assert_eq!(cli.run(&["cron", "pause", "a"]).ok(), "a is paused already");
        let said = cli.run(&["cron", "add", "a", "@daily", "t"]).ok();
        assert_eq!(said, "changed a\nit is paused: `afresh cron resume a` lets it go on");
        let shown = json_of(cli, &["cron", "show", "a"]);
        assert_eq!((&shown["paused"], &shown["next_at"], &shown["next"]), (&json!(true), &Value::Null, &json!([])));
        assert!(cli.run(&["cron", "show", "a"]).ok().contains("afresh cron resume a   let it go on"));

        assert_eq!(cli.run(&["cron", "resume", "a"]).ok(), "resumed a");
        assert_eq!(cli.run(&["cron", "resume", "a"]).ok(), "a is not paused");
        assert_eq!(times(&json_of(cli, &["cron", "show", "a"])["next"]).len(), 5);
        let table = cli.run(&["cron", "ls"]).ok();
        let row =
            |name: &str| table.lines().find(|line| line.trim_start().starts_with(name)).unwrap().trim().to_owned();
        assert!(row("a").ends_with("no") && row("b").ends_with("yes"), "{table}");
    });
}

#[test]
fn some_can_be_removed_and_one_that_nobody_knows_is_said() {
    on_each_broker(|cli| {
        for name in ["a", "b", "c"] {
            cli.run(&["cron", "add", name, "@hourly", "t"]).ok();
        }
        let id = cli.run(&["cron", "run", "a"]).ok();
        let run = cli.run(&["cron", "rm", "a", "nobody", "b"]);
        assert_eq!(run.stdout, b"removed a: the jobs it made stay\nremoved b: the jobs it made stay\n");
        run.fails(1, &["there is no periodic job nobody in", "`afresh cron ls` shows which there are"]);
        assert_eq!((listed(cli).len(), cli.state(&id).as_str()), (1, "queued"));
        let run = cli.run(&["cron", "rm", "a", "c", "--json"]);
        let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(rows, json!([{"name": "a", "done": false}, {"name": "c", "done": true}]));
        run.fails(1, &["there is no periodic job a in"]);
        for verb in ["show", "run", "pause", "resume"] {
            cli.run(&["cron", verb, HOSTILE]).fails(1, &["there is no periodic job \\u{1b}[31mred"]);
        }
        assert_eq!(listed(cli), []);
    });
}

#[test]
fn what_a_broker_refuses_changes_nothing() {
    on_each_broker(|cli| {
        cli.run(&["cron", "add", "tidy", "@hourly", "t"]).ok();
        cli.run(&["cron", "add", "tidy", "@daily", "t", "--queue", "other"])
            .fails(1, &["there is a periodic job tidy in the queue default: remove it first, or take another name"]);
        cli.run(&["cron", "add", "new", "@daily", "t", "@no.json"]).fails(1, &["failed to read the payload no.json"]);
        cli.file("afresh.toml", "max_payload = 3");
        cli.run(&["cron", "add", "tidy", "@daily", "t", "long"]).fails(1, &["the payload is longer than 3 B"]);
        assert_eq!(listed(cli), [("tidy".to_owned(), "@hourly".to_owned())]);
    });
}

#[test]
fn a_key_does_a_terminal_no_harm_and_flags_may_come_from_the_environment() {
    let cli = Cli::sqlite();
    cli.run(&["cron", "add", "a", "@hourly", "t", "--key", "\u{202e}x"]).ok();
    for arguments in [&["cron", "show", "a"] as &[&str], &["cron", "show", "a", "--json"], &["cron", "ls", "--json"]] {
        assert!(is_harmless(cli.run(arguments).ok().as_bytes()), "{arguments:?}");
    }
    let mut command = cli.command(&["cron", "add", "b", "@hourly", "t"]);
    command.env("AFRESH_TIMEZONE", "Asia/Tokyo").env("AFRESH_MISSED", "run-once").env("AFRESH_QUEUE", "mail");
    Run::of(command.output().unwrap()).ok();
    let shown = json_of(&cli, &["cron", "show", "b"]);
    let parts = ["timezone", "missed", "queue"].map(|name| shown[name].clone());
    assert_eq!(parts, ["Asia/Tokyo", "run_once", "mail"]);
}

#[test]
fn a_periodic_job_that_cannot_be_is_one_sentence_and_exit_code_2() {
    let cli = Cli::sqlite();
    let every = "* * * * *";
    for (arguments, words) in [
        (&["x", "* * *", "t"] as &[&str], "`* * *` is not a cron line"),
        (&["x", "61 * * * *", "t"], "write minute, hour, day, month and weekday, like `*/5 * * * *`"),
        (&["x", "-1 * * * *", "t"], "`-1 * * * *` is not a cron line"),
        (&["x", "0 0 30 2 *", "t"], "it is never due"),
        (&["x", "*", "*", "*", "*", "*", "t"], "unexpected argument '*'"),
        (&["x", every, "t", "--timezone", "CEST"], "`CEST` is not a time zone: write a name like UTC or Europe/Berlin"),
        (&["a b", every, "t"], "the periodic job's name: `a b` is not a name"),
        (&[&"n".repeat(65), every, "t"], "has more than 64 bytes"),
        (&["x", every, "../t"], "the periodic job x: its task: `../t` is not a name"),
        (&["x", every, "t", "--queue", "a/b"], "the periodic job x: its queue: `a/b` is not a name"),
        (&["x", every, "t", "--key", ""], "its key: `` is not a key"),
        (&["x", every, "t", "--priority", "1001"], "its priority is 1001, it must be from -1000 to 1000"),
        (&["x", every, "t", "--max-attempts", "0"], "max_attempts is 0"),
        (&["x", every, "t", "--min-backoff", "2s", "--max-backoff", "1s"], "longer than its max_backoff"),
        (&["x", every, "t", "--missed", "twice"], "invalid value 'twice' for '--missed"),
        (&["x", every, "t", "--id", "j"], "unexpected argument '--id'"),
        (&["x", every], "required arguments"),
        (&["../x", every, "t", "@no.json"], "the periodic job's name"),
    ] {
        cli.run(&[&["cron", "add"], arguments].concat()).fails(2, &[words]);
    }
    for verb in ["rm", "pause", "resume", "run", "show"] {
        cli.run(&["cron", verb]).fails(2, &["required arguments"]);
    }
    assert!(!cli.folder.path().join("jobs.db").exists(), "a wrong call does not touch the broker");
}
