//! `afresh enqueue`.

use afresh_protocol::Outcome;

use crate::cli::{Cli, HOSTILE, Run, failed, is_harmless, on_each_broker};

#[test]
fn a_job_is_enqueued_and_found_again() {
    on_each_broker(|cli| {
        let id = cli.run(&["enqueue", "shout", "hello", "--queue", "mail", "--priority", "-7"]).ok();
        let job = cli.show(&id);
        let facts = [&job["task"], &job["queue"], &job["state"], &job["priority"], &job["payload_bytes"]];
        assert_eq!(facts.map(ToString::to_string), ["\"shout\"", "\"mail\"", "\"queued\"", "-7", "5"]);
        assert_eq!(cli.ids(&["job", "ls"]), std::slice::from_ref(&id));
        assert!(cli.run(&["job", "show", &id]).ok().contains(&format!("afresh job cancel {id}")));
        assert!(cli.run(&["queue", "ls"]).ok().contains("mail"));
    });
}

#[test]
fn the_same_id_again_is_the_same_job() {
    on_each_broker(|cli| {
        cli.enqueue("first", "order:7");
        let again = cli.run(&["enqueue", "second", "--id", "order:7"]);
        assert!(again.stderr.contains("job order:7 was there already"), "{again:?}");
        assert_eq!(again.ok(), "order:7");
        assert_eq!(cli.show("order:7")["task"], "first");
        assert_eq!(
            cli.run(&["enqueue", "x", "--id", "order:7", "--json"]).ok().replace([' ', '\n'], ""),
            r#"{"id":"order:7","created":false}"#
        );
    });
}

#[test]
fn a_job_for_later_is_scheduled_and_one_for_the_past_is_refused() {
    on_each_broker(|cli| {
        let later = |flag, value, id| cli.run(&["enqueue", "t", flag, value, "--id", id]).ok();
        later("--at", "2099-01-01T12:00:00+01:00", "at");
        later("--in", "2h", "in");
        assert_eq!(cli.show("at")["run_at"], "2099-01-01T11:00:00.000000Z");
        assert_eq!(["at", "in"].map(|id| cli.state(id)), ["scheduled", "scheduled"]);
        assert!(cli.run(&["job", "show", "in"]).ok().contains("(in 1h 59m)"));
        cli.run(&["enqueue", "t", "--at", "2001-01-01T00:00:00Z"])
            .fails(2, &["its `at`, 2001-01-01T00:00:00.000000Z, was", "ago: leave `at` away to run it now"]);
        assert_eq!(cli.ids(&["job", "ls"]).len(), 2);
    });
}

#[test]
fn a_payload_comes_from_the_argument_a_file_or_standard_input_byte_for_byte() {
    let cli = Cli::sqlite();
    let bytes: Vec<u8> = (0..=255).collect();
    cli.file("in.bin", &bytes);
    for (id, arguments) in
        [("a", &["@in.bin"] as &[&str]), ("b", &["--file", "in.bin"]), ("c", &["-"]), ("d", &["--file", "-"])]
    {
        cli.run_with(&[&["enqueue", "t", "--id", id], arguments].concat(), &bytes).ok();
        assert_eq!(cli.payload(id), bytes, "{arguments:?}");
    }
    cli.run(&["enqueue", "t", "-5", "--id", "e"]).ok();
    assert_eq!(cli.payload("e"), b"-5");
}

#[test]
fn flags_can_be_set_by_the_environment() {
    let cli = Cli::sqlite();
    let mut command = cli.command(&["enqueue", "t", "--id", "j"]);
    command.env("AFRESH_QUEUE", "mail").env("AFRESH_MAX_ATTEMPTS", "3").env("AFRESH_JSON", "1");
    let accepted = Run::of(command.output().unwrap()).ok();
    assert!(accepted.contains("\"created\": true"), "{accepted}");
    assert_eq!((cli.show("j")["queue"].as_str(), cli.show("j")["max_attempts"].as_u64()), (Some("mail"), Some(3)));
}

#[test]
fn lines_become_jobs_and_their_ids_come_back_in_order() {
    on_each_broker(|cli| {
        let lines = "{\"task\":\"a\",\"id\":\"1\",\"payload\":\"text\"}\n\n\
                     {\"task\":\"b\",\"id\":\"2\",\"payload\":{\"n\":[1,2]},\"queue\":\"mail\",\"max_attempts\":9}\n\
                     {\"task\":\"c\",\"id\":\"3\"}";
        assert_eq!(cli.run_with(&["enqueue", "--jsonl", "-", "--priority", "4"], lines.as_bytes()).ok(), "1\n2\n3");
        assert_eq!(["1", "2", "3"].map(|id| cli.payload(id)), [&b"text"[..], b"{\"n\":[1,2]}", b""]);
        assert_eq!((cli.show("2")["max_attempts"].as_u64(), cli.show("2")["priority"].as_i64()), (Some(9), Some(4)));
        let again = cli.run_with(&["enqueue", "--jsonl", "-", "--json"], lines.as_bytes()).ok();
        assert_eq!(again.lines().next(), Some(r#"{"id":"1","created":false}"#));
    });
}

#[test]
fn of_a_chunk_with_a_wrong_line_nothing_is_enqueued() {
    on_each_broker(|cli| {
        let mut lines: Vec<_> = (1..=2_500).map(|n| format!("{{\"task\":\"t\",\"id\":\"{n}\"}}")).collect();
        lines[2_099] = "{\"task\":\"t\",\"colour\":1}".to_owned();
        cli.file("jobs.jsonl", lines.join("\n"));
        let run = cli.run(&["enqueue", "--jsonl", "jobs.jsonl"]);
        assert_eq!(run.stdout.split(|&byte| byte == b'\n').count() - 1, 2_000, "the ids of two whole chunks");
        run.fails(
            1,
            &["line 2100 of jobs.jsonl", "unknown field `colour`", "up to line 2000 are enqueued, none after"],
        );
        let queue: serde_json::Value =
            serde_json::from_str(&cli.run(&["queue", "show", "default", "--json"]).ok()).unwrap();
        assert_eq!(queue["queued"], 2_000);
    });
}

#[test]
fn a_payload_over_the_limit_is_refused_and_nothing_is_enqueued() {
    let cli = Cli::sqlite();
    cli.file("afresh.toml", "max_payload = \"10 B\"");
    cli.run(&["enqueue", "t", "0123456789"]).ok();
    cli.run(&["enqueue", "t", "0123456789a"]).fails(1, &["longer than 10 B", "max_payload"]);
    let line = b"{\"task\":\"t\"}\n{\"task\":\"t\",\"payload\":\"0123456789a\"}";
    cli.run_with(&["enqueue", "--jsonl", "-"], line)
        .fails(1, &["line 2 of standard input", "11 bytes, the limit is 10"]);
    cli.run_with(&["enqueue", "--jsonl", "-"], &[b'a'; 100_000]).fails(1, &["line 1", "longer than"]);
    assert_eq!(cli.ids(&["job", "ls"]).len(), 1);
}

#[test]
fn waiting_prints_the_reply_byte_for_byte() {
    on_each_broker(|cli| {
        let waiting = cli.start(&["enqueue", "t", "--wait", "--wait-timeout", "60s"]);
        cli.work(Outcome::Succeeded(b"\x00\xffreply".to_vec()));
        let run = Run::of(waiting.wait_with_output().unwrap());
        assert_eq!((run.code, run.stdout.as_slice(), run.stderr.as_str()), (0, &b"\x00\xffreply"[..], ""));
    });
}

#[test]
fn waiting_shows_the_progress_and_each_log_line_once_and_then_the_reply() {
    on_each_broker(|cli| {
        let waiting = cli.start(&["enqueue", "t", "--wait"]);
        let lease = cli.lease();
        cli.note(&lease, 0.4, "begun");
        cli.note(&lease, 0.4, HOSTILE);
        cli.note(&lease, 1.0, "done");
        cli.settle(&lease, Outcome::Succeeded(b"reply".to_vec()));
        let run = Run::of(waiting.wait_with_output().unwrap());
        assert!(is_harmless(run.stderr.as_bytes()), "{:?}", run.stderr);
        for once in ["[info] begun\n", "[info] \\u{1b}[31mred", "[info] done\n", "progress 100 %\n"] {
            assert_eq!(run.stderr.matches(once).count(), 1, "{once:?} in {}", run.stderr);
        }
        assert_eq!(run.ok(), "reply");
    });
}

#[test]
fn a_program_that_waits_reads_the_job_and_nothing_else() {
    on_each_broker(|cli| {
        let waiting = cli.start(&["enqueue", "t", "--wait", "--json"]);
        let lease = cli.lease();
        cli.note(&lease, 0.4, "begun");
        cli.settle(&lease, Outcome::Succeeded(Vec::new()));
        let run = Run::of(waiting.wait_with_output().unwrap());
        assert_eq!(run.stderr, "");
        let job: serde_json::Value = serde_json::from_str(&run.ok()).unwrap();
        assert_eq!((job["state"].as_str(), job["progress"].as_f64()), (Some("succeeded"), Some(0.4)));
    });
}

#[test]
fn waiting_for_a_job_that_dies_says_why() {
    on_each_broker(|cli| {
        let waiting = cli.start(&["enqueue", "t", "--id", "j", "--wait"]);
        cli.work(failed(&format!("no such picture {HOSTILE}")));
        let run = Run::of(waiting.wait_with_output().unwrap());
        assert!(is_harmless(run.stderr.as_bytes()), "{:?}", run.stderr);
        run.fails(1, &["job j is dead after 1 attempt", "failed: no such picture \\u{1b}[31mred"]);
    });
}

#[test]
fn waiting_ends_when_its_time_is_over_and_the_job_goes_on() {
    let cli = Cli::sqlite();
    cli.run(&["enqueue", "t", "--id", "j", "--wait", "--wait-timeout", "50ms"])
        .fails(1, &["job j has not ended within 50ms", "afresh job show j"]);
    assert_eq!(cli.state("j"), "queued");
}
