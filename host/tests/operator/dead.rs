//! `afresh dead`.

use afresh_protocol::{ErrorRecord, Outcome};

use crate::cli::{Cli, failed, on_each_broker};

/// Three dead jobs: `a` and `b` of the task `often`, `c` of `seldom`; `b` was rejected, the others failed.
fn three_dead(cli: &Cli) {
    for (id, task, outcome) in [
        ("a", "often", failed("no")),
        ("b", "often", Outcome::Rejected(ErrorRecord::new("rejected", "never"))),
        ("c", "seldom", failed("no")),
    ] {
        cli.enqueue(task, id);
        cli.work(outcome);
    }
}

#[test]
fn dead_jobs_are_listed_by_task_and_by_kind() {
    on_each_broker(|cli| {
        three_dead(cli);
        cli.enqueue("often", "alive");
        assert_eq!(cli.ids(&["dead", "ls"]), ["c", "b", "a"]);
        assert_eq!(cli.ids(&["dead", "ls", "--task", "often"]), ["b", "a"]);
        assert_eq!(cli.ids(&["dead", "ls", "--kind", "rejected"]), ["b"]);
        assert_eq!(cli.ids(&["dead", "ls", "--limit", "1"]), ["c"]);
    });
}

#[test]
fn dead_jobs_are_retried_by_id_by_kind_or_all_of_them() {
    on_each_broker(|cli| {
        three_dead(cli);
        assert_eq!(cli.run(&["dead", "retry", "a"]).ok(), "retried a");
        assert_eq!((cli.state("a").as_str(), cli.show("a")["attempts_started"].as_u64()), ("queued", Some(0)));
        assert_eq!(cli.run(&["dead", "retry", "--kind", "rejected", "--yes"]).ok(), "retried 1 job");
        assert_eq!(cli.state("b"), "queued");
        let all = cli.run(&["dead", "retry", "--all", "-y", "--json"]).ok();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&all).unwrap(),
            serde_json::json!({"matched": 1, "done": 1})
        );
        assert!(cli.ids(&["dead", "ls"]).is_empty());
        assert_eq!(cli.run(&["dead", "retry", "--all"]).ok(), "retried 0 jobs", "nothing to ask about");
    });
}

#[test]
fn without_a_terminal_many_jobs_are_only_touched_after_a_yes() {
    on_each_broker(|cli| {
        three_dead(cli);
        cli.run(&["dead", "retry", "--all"]).fails(2, &["3 jobs will be retried", "--yes"]);
        cli.run(&["dead", "purge", "--task", "often"]).fails(2, &["2 jobs will be removed", "--yes"]);
        cli.run_with(&["dead", "purge"], b"y\n").fails(2, &["3 jobs will be removed", "--yes"]);
        assert_eq!(cli.ids(&["dead", "ls"]).len(), 3);
    });
}

#[test]
fn dead_jobs_are_purged_by_task_or_all_of_them_and_others_stay() {
    on_each_broker(|cli| {
        three_dead(cli);
        cli.enqueue("often", "alive");
        assert_eq!(cli.run(&["dead", "purge", "--task", "often", "--yes"]).ok(), "removed 2 jobs");
        assert_eq!(cli.ids(&["dead", "ls"]), ["c"]);
        assert_eq!(cli.run(&["dead", "purge", "--yes"]).ok(), "removed 1 job");
        assert_eq!(cli.ids(&["job", "ls"]), ["alive"]);
    });
}

#[test]
fn what_is_to_be_retried_must_be_said() {
    let cli = Cli::sqlite();
    cli.run(&["dead", "retry"]).fails(2, &["required arguments"]);
    cli.run(&["dead", "retry", "a", "--all"]).fails(2, &["cannot be used with"]);
    let mut command = cli.command(&["dead", "retry", "--yes"]);
    command.env("AFRESH_TASK", "often").env("AFRESH_QUEUE", "default");
    assert_eq!(command.output().unwrap().status.code(), Some(2), "a forgotten variable chooses no jobs");
}
