//! The compiled task on payloads that nobody wrote: it fails in the ways that a payload can ask for, and in no other.

use afresh_fuzz::{Flaw, guest};

#[test]
fn it_fails_in_no_way_that_its_payload_does_not_name() {
    guest(env!("CARGO_MANIFEST_DIR"))
        .seeds([r#"{"how": "error", "fail_until": 3}"#])
        // {"how": "panic"} is there on purpose, and {"how": "snooze"} asks the clock.
        .allow(Flaw::Panicked)
        .allow(Flaw::NonDeterministic)
        .bytes();
}

#[test]
#[should_panic(expected = "attempt 1 hit a bug")]
fn the_panic_that_is_there_on_purpose_is_found() {
    // What an earlier run found would be found without looking.
    let findings = concat!(env!("CARGO_TARGET_TMPDIR"), "/flaky");
    let _ = std::fs::remove_dir_all(findings);
    guest(env!("CARGO_MANIFEST_DIR"))
        .findings_in(findings)
        .seeds([r#"{"how": "error"}"#])
        .allow(Flaw::NonDeterministic)
        .runs(50_000)
        .bytes();
}
