//! `afresh dead` on failures that are alike: in groups, by fingerprint, and by what their messages say.

use afresh_protocol::{ErrorRecord, Outcome};
use serde_json::Value;

use crate::cli::{Cli, HOSTILE, failed, is_harmless, on_each_broker};

/// Dead jobs: `a1` to `a3` failed alike, `b` in another way, `c` was rejected with the words of the first three.
fn five_dead(cli: &Cli) {
    let refused = |n| format!("cannot reach the Host `h{n}`\nafter {n} s");
    for (id, task, outcome) in [
        ("a1", "mail", failed(&refused(1))),
        ("a2", "mail", failed(&refused(2))),
        ("a3", "mail", failed(&refused(3))),
        ("b", "mail", failed(&format!("no such user {HOSTILE}"))),
        ("c", "post", Outcome::Rejected(ErrorRecord::new("rejected", refused(4)))),
    ] {
        cli.enqueue(task, id);
        cli.work(outcome);
    }
}

fn groups(cli: &Cli, flags: &[&str]) -> Vec<Value> {
    let listed = cli.run(&[&["dead", "ls", "--group", "--json"], flags].concat()).ok();
    serde_json::from_str(&listed).unwrap()
}

fn fingerprint_of(group: &Value) -> String {
    group["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn failures_are_grouped_by_what_they_have_in_common_the_largest_group_first() {
    on_each_broker(|cli| {
        five_dead(cli);
        let all = groups(cli, &[]);
        let jobs: Vec<_> = all.iter().map(|group| group["jobs"].as_u64().unwrap()).collect();
        assert_eq!(jobs, [3, 1, 1]);
        let first = &all[0];
        assert_eq!([&first["task"], &first["kind"], &first["newest"]], ["mail", "failed", "a3"]);
        assert_eq!(groups(cli, &["--task", "post"])[0]["kind"], "rejected");
        assert_eq!(groups(cli, &["--limit", "1"]).len(), 1);
        assert_eq!(groups(cli, &["--search", "NO SUCH"])[0]["newest"], "b");

        let table = cli.run(&["dead", "ls", "--group"]);
        assert!(is_harmless(&table.stdout), "{table:?}");
        let table = table.ok();
        assert!(table.contains(&fingerprint_of(first)) && table.contains("cannot reach the Host `h3`"), "{table}");
        assert!(!table.contains("after 3 s"), "the first line of a message is enough: {table}");
    });
}

#[test]
fn the_jobs_of_a_group_are_listed_retried_and_purged_by_the_first_digits_of_its_fingerprint() {
    on_each_broker(|cli| {
        five_dead(cli);
        let whole = fingerprint_of(&groups(cli, &[])[0]);
        let short = &whole[..8].to_uppercase();
        assert_eq!(cli.ids(&["dead", "ls", "--fingerprint", short]), ["a3", "a2", "a1"]);
        assert_eq!(cli.ids(&["dead", "ls", "--fingerprint", &whole, "--task", "post"]), [""; 0]);
        cli.run(&["dead", "retry", "--fingerprint", short]).fails(2, &["3 jobs will be retried", "--yes"]);
        assert_eq!(cli.run(&["dead", "retry", "--fingerprint", short, "--yes"]).ok(), "retried 3 jobs");
        assert_eq!(cli.ids(&["dead", "ls"]), ["c", "b"]);

        let whole = fingerprint_of(&groups(cli, &["--task", "post"])[0]);
        assert_eq!(cli.run(&["dead", "purge", "--fingerprint", &whole, "--yes"]).ok(), "removed 1 job");
        assert_eq!(cli.ids(&["dead", "ls"]), ["b"]);
    });
}

#[test]
fn dead_jobs_are_found_by_a_text_in_their_newest_error_in_capitals_or_not() {
    on_each_broker(|cli| {
        five_dead(cli);
        assert_eq!(cli.ids(&["dead", "ls", "--search", "the host"]), ["c", "a3", "a2", "a1"]);
        assert_eq!(cli.ids(&["dead", "ls", "--search", "THE HOST", "--kind", "failed", "--limit", "2"]), ["a3", "a2"]);
        cli.run(&["dead", "purge", "--search", "the host"]).fails(2, &["4 jobs will be removed", "--yes"]);
        assert_eq!(cli.run(&["dead", "purge", "--search", "the host", "--yes"]).ok(), "removed 4 jobs");
        assert_eq!(cli.run(&["dead", "retry", "--search", "such user", "--yes"]).ok(), "retried 1 job");
        let none = cli.run(&["dead", "ls", "--group", "--search", "user"]);
        assert!(none.stderr.contains("no such jobs in"), "{none:?}");
    });
}

#[test]
fn digits_that_name_no_group_or_several_are_one_sentence() {
    on_each_broker(|cli| {
        five_dead(cli);
        cli.run(&["dead", "retry", "--fingerprint", "0000", "--yes"])
            .fails(1, &["no dead job has a fingerprint that begins with 0000", "afresh dead ls --group"]);
        // Two words whose fingerprints begin alike, found by trying.
        for word in ["dv", "aao"] {
            cli.enqueue("t", word);
            cli.work(failed(word));
        }
        cli.run(&["dead", "retry", "--fingerprint", "0b9d", "--yes"])
            .fails(1, &["several fingerprints begin with 0b9d (0b9d", "give more digits"]);
        assert_eq!(cli.ids(&["dead", "ls"]).len(), 7, "nothing was retried");
    });
    let cli = Cli::sqlite();
    for wrong in ["abc", "12345678901234567", "ghij", ""] {
        cli.run(&["dead", "ls", "--fingerprint", wrong])
            .fails(2, &["a fingerprint has 16 hexadecimal digits; its first 4"]);
    }
    cli.run(&["dead", "retry", "a", "--search", "x"]).fails(2, &["cannot be used with"]);
    cli.run(&["dead", "purge", "--search", "", "--yes"]).fails(2, &["a value is required for '--search"]);
    assert!(!cli.folder.path().join("jobs.db").exists(), "a wrong call does not touch the broker");
}
