//! `afresh batch`, and chains: what is enqueued together, what is seen of it, and what follows.

use afresh_protocol::Outcome;
use serde_json::{Value, json};

use crate::cli::{Cli, failed, on_each_broker};

const NIGHTLY: &str = r#"{"id": "nightly", "jobs": [
    {"task": "export", "id": "ann", "payload": "a"},
    {"task": "export", "id": "bob", "then": [{"task": "mail", "id": "bob-mail", "key": "customer:42"}]},
    {"id": "inner", "jobs": [{"task": "tidy"}]}],
    "then": {"task": "report", "payload": {"to": "ops"}}}"#;

fn succeeded(reply: &str) -> Outcome {
    Outcome::Succeeded(reply.into())
}

fn shown(cli: &Cli, id: &str) -> Value {
    serde_json::from_str(&cli.run(&["batch", "show", id, "--json"]).ok()).unwrap()
}

#[test]
fn a_chain_passes_on_the_replies_and_says_what_is_to_follow() {
    on_each_broker(|cli| {
        cli.run(&["enqueue", "fetch", "url", "--id", "c", "--then", "resize", "--then", "store"]).ok();
        assert_eq!(cli.show("c")["then"][1], json!({"id": "c.then2", "task": "store"}));
        let page = cli.run(&["job", "show", "c"]).ok();
        assert!(page.contains("then        c.then1 (resize), c.then2 (store)"), "{page}");
        cli.work(succeeded("picture"));
        assert_eq!(
            (cli.payload("c.then1"), cli.show("c.then1")["task"].clone()),
            (b"picture".to_vec(), json!("resize"))
        );
        cli.work(failed("no"));
        cli.run(&["job", "show", "c.then2"]).fails(1, &["there is no job c.then2"]);
        cli.run(&["job", "retry", "c.then1"]).ok();
        cli.work(succeeded("small"));
        assert_eq!(cli.payload("c.then2"), b"small");

        let line = br#"{"task":"a","id":"l","then":[{"task":"b","max_attempts":3}]}"#;
        assert_eq!(cli.run_with(&["enqueue", "--jsonl", "-"], line).ok(), "l");
        assert_eq!(cli.show("l")["then"], json!([{"id": "l.then1", "task": "b", "max_attempts": 3}]));
    });
}

#[test]
fn a_batch_is_enqueued_shown_and_calls_back_with_the_counts() {
    on_each_broker(|cli| {
        cli.file("nightly.json", NIGHTLY);
        assert_eq!(cli.run(&["batch", "enqueue", "nightly.json"]).ok(), "nightly");
        let again = cli.run_with(&["batch", "enqueue", "-", "--json"], NIGHTLY.as_bytes());
        assert!(again.stderr.contains("batch nightly was there already"), "{again:?}");
        assert_eq!(serde_json::from_str::<Value>(&again.ok()).unwrap(), json!({"id": "nightly", "created": false}));

        assert!(cli.run(&["job", "show", "ann"]).ok().contains("batch       nightly"));
        let page = cli.run(&["batch", "show", "nightly"]).ok();
        for words in [
            "members     3: 3 pending",
            "callback    nightly.then, report",
            "  job ann   export, queued",
            "  batch inner\n",
            "      job inner.1   tidy, queued",
            "afresh batch cancel nightly",
        ] {
            assert!(page.contains(words), "no {words:?} in\n{page}");
        }
        let view = shown(cli, "nightly");
        assert_eq!((&view["state"], &view["total"], &view["pending"]), (&json!("open"), &json!(3), &json!(3)));
        assert_eq!(view["nested"][0]["jobs"], json!([{"id": "inner.1", "task": "tidy", "state": "queued"}]));

        for outcome in [failed("no"), succeeded("x"), succeeded(""), succeeded("")] {
            cli.work(outcome);
        }
        let told: Value = serde_json::from_slice(&cli.payload("nightly.then")).unwrap();
        assert_eq!(
            told,
            json!({"batch": "nightly", "total": 3, "succeeded": 2, "dead": 1, "cancelled": 0, "expired": 0, "removed": 0,
                "payload": "{\"to\": \"ops\"}"})
        );
        cli.work(succeeded(""));
        assert_eq!(shown(cli, "nightly")["state"], "finished");
        let listed: Value = serde_json::from_str(&cli.run(&["batch", "ls", "--json"]).ok()).unwrap();
        assert_eq!((&listed[0]["id"], listed.as_array().unwrap().len()), (&json!("nightly"), 1));
        assert!(cli.run(&["batch", "ls"]).ok().contains("nightly"));
        cli.run(&["batch", "cancel", "nightly"])
            .fails(1, &["batch nightly is finished already: only one that is open"]);
    });
}

#[test]
fn cancelling_a_batch_cancels_what_is_left_and_nobody_is_called_back() {
    on_each_broker(|cli| {
        cli.run_with(&["batch", "enqueue", "-"], NIGHTLY.as_bytes()).ok();
        let lease = cli.lease();
        let said = cli.run(&["batch", "cancel", "nightly"]).ok();
        assert_eq!(said, "cancelled the batch nightly: 2 cancelled at once, 1 asked to end");
        cli.settle(&lease, Outcome::Cancelled);
        assert!(cli.lease_if_any().is_none());
        assert_eq!(["bob", "inner.1"].map(|id| cli.state(id)), ["cancelled", "cancelled"]);
        let page = cli.run(&["batch", "show", "nightly"]).ok();
        assert!(page.contains("state       cancelled") && page.contains("3: 3 cancelled"), "{page}");
        cli.run(&["batch", "cancel", "nightly"]).fails(1, &["batch nightly is cancelled already"]);
        cli.run(&["batch", "cancel", "nobody"]).fails(1, &["there is no batch nobody in", "no longer kept"]);
        cli.run(&["batch", "show", "nobody"]).fails(1, &["there is no batch nobody in"]);
    });
}

#[test]
fn what_cannot_be_a_batch_is_one_sentence_and_nothing_is_enqueued() {
    on_each_broker(|cli| {
        cli.enqueue("t", "there");
        for (document, words) in [
            ("nonsense", "standard input: it is not a JSON object"),
            (r#"{"jobs":[]}"#, "it has no jobs: give it at least one"),
            (r#"{"jobs":[{"task":"t"}],"colour":1}"#, "unknown field `colour`"),
            (r#"{"jobs":[{"task":"t","id":"a","then":[{"task":"t","id":"a"}]}]}"#, "the job a comes after itself"),
            (r#"{"jobs":[{"task":"t","id":"a"},{"task":"t","id":"a"}]}"#, "the job a stands twice in it"),
            (r#"{"id":"b","jobs":[{"task":"t"},{"id":"b","jobs":[{"task":"t"}]}]}"#, "batch b: it stands twice"),
            (r#"{"jobs":[{"task":"t"},{"task":"t","queue":"mail"}]}"#, "all of a batch is in one queue"),
            (r#"{"jobs":[{"task":"t"}],"then":{"task":"t","in":"1h"}}"#, "it takes no time"),
            (
                r#"{"jobs":[{"task":"t","id":"new"},{"task":"t","id":"there"}]}"#,
                "there is a job there in the queue default",
            ),
        ] {
            cli.run_with(&["batch", "enqueue", "-"], document.as_bytes()).fails(1, &[words, "nothing was enqueued"]);
        }
        cli.run(&["batch", "enqueue", "no.json"]).fails(1, &["failed to open no.json"]);
        cli.run(&["batch", "enqueue"]).fails(2, &["required arguments"]);
        cli.run(&["enqueue", "t", "--then", "../t"]).fails(2, &["`../t` is not a name"]);
        cli.run(&["enqueue", "t", "--then", "u", "--wait"]).fails(2, &["cannot be used with"]);
        assert_eq!(cli.ids(&["job", "ls"]), ["there"]);
        let none = cli.run(&["batch", "ls"]);
        assert!(none.stderr.contains("no batches in"), "{none:?}");
    });
}
