//! The engine itself: what it finds, and that it ends.

use std::sync::Mutex;
use std::time::Duration;

use afresh_fuzz::{Finding, Flaw, Fuzzer, Listener, Oracle, Outcome, Plan, Subject, Summary, Tally};
use afresh_sandbox::{Cancel, Limits, Reason};

use crate::guest;

fn subject(name: &str, jobs: usize) -> Subject {
    let limits = Limits { memory: 8 << 20, timeout: Duration::from_secs(2), ..Limits::default() };
    Subject::new(&guest(name), name, limits, jobs).unwrap()
}

fn fuzz(name: &str, plan: Plan) -> Summary {
    let (subject, oracle) = (subject(name, plan.jobs), Oracle::default());
    fuzzer(&subject, &oracle, plan).run(Vec::new()).unwrap()
}

fn fuzzer<'a>(subject: &'a Subject, oracle: &'a Oracle, plan: Plan) -> Fuzzer<'a> {
    Fuzzer { subject, oracle, plan, earlier: Vec::new(), cancel: Cancel::new(), listener: &() }
}

/// As many attempts as it takes, which is few enough on any machine.
fn first(seed: u64) -> Plan {
    Plan { runs: Some(200_000), seed, stop_at_first: true, ..Plan::default() }
}

#[track_caller]
fn assert_found(summary: &Summary, flaw: Flaw, payload: &[u8]) {
    let found: Vec<_> =
        summary.findings.iter().map(|finding| (finding.flaw, finding.payload.escape_ascii().to_string())).collect();
    let is_it = |finding: &Finding| finding.flaw == flaw && finding.payload == payload;
    assert!(summary.findings.iter().any(is_it), "{found:?} in {} attempts", summary.tally.runs);
}

#[test]
fn a_trap_behind_two_conditions_is_found_through_the_modules_words_and_the_fuel() {
    for seed in 0..2 {
        let summary = fuzz("json", first(seed));
        let [finding] = summary.findings.as_slice() else { panic!("seed {seed}: {:?}", summary.tally.outcomes) };
        assert_eq!(finding.flaw, Flaw::Trapped, "seed {seed}");
        let mut smallest = finding.payload.clone();
        // Either may stand first, and any byte may be the colon.
        for part in [&b"\"mode\"\0\"x\""[..], b"\"width\"\x000"] {
            let is_part = |window: &[u8]| window.iter().zip(part).all(|(a, b)| a == b || *b == 0);
            let at = smallest.windows(part.len()).position(is_part);
            smallest.drain(at.unwrap()..at.unwrap() + part.len());
        }
        assert_eq!(smallest, b"", "seed {seed}: {}", finding.payload.escape_ascii());
    }
}

#[test]
fn each_bug_becomes_its_smallest_payload() {
    assert_found(&fuzz("spin", first(1)), Flaw::TimedOut, b"0\x07");
    let summary = fuzz("grow", first(1));
    let [Finding { flaw: Flaw::OutOfMemory, payload, .. }] = summary.findings.as_slice() else { panic!("{summary:?}") };
    assert_eq!(payload.len(), 4, "{}", payload.escape_ascii());
}

#[test]
fn a_guest_that_asks_for_randomness_is_told_to_differ() {
    let summary = fuzz("dice", first(1));
    assert_found(&summary, Flaw::NonDeterministic, b"000");
    assert!(summary.findings[0].message.contains("8 other bytes"), "{summary:?}");
}

#[test]
fn two_bugs_are_two_findings_however_often_they_come() {
    let plan = Plan { runs: Some(20_000), seed: 1, ..Plan::default() };
    let summary = fuzz("utf8", plan);
    assert_eq!(summary.findings.len(), 2, "{summary:?}");
    assert_found(&summary, Flaw::Panicked, b"\xfe");
    assert_found(&summary, Flaw::Panicked, b"\xff");
    assert!(summary.tally.outcomes["panicked"] > 2 && summary.tally.findings == 2, "{summary:?}");
}

#[test]
fn the_same_seed_finds_the_same_in_as_many_attempts() {
    let run = || fuzz("utf8", first(11));
    let (one, other) = (run(), run());
    assert_eq!((one.findings, one.tally.runs), (other.findings, other.tally.runs));
}

#[test]
fn a_guest_without_a_bug_has_no_finding_and_its_numbers_are_told() {
    let plan = Plan { runs: Some(3_000), jobs: 2, ..Plan::default() };
    let Summary { tally, findings, .. } = fuzz("echo", plan);
    assert_eq!(findings, []);
    assert!(tally.runs >= 3_000 && tally.outcomes["succeeded"] == tally.runs, "{tally:?}");
    assert_eq!(tally.peak_memory.usage.peak_memory_bytes, 32 << 16);
    assert!(tally.slowest.usage.fuel > Some(0));
}

/// Ends the run at the hundredth attempt.
struct Impatient {
    cancel: Cancel,
    found: Mutex<Vec<Finding>>,
}

impl Listener for Impatient {
    fn ran(&self, tally: &Tally) {
        if tally.runs == 100 {
            self.cancel.cancel(Reason::Cancelled);
        }
    }

    fn found(&self, finding: &Finding) {
        self.found.lock().unwrap().push(finding.clone());
    }
}

#[test]
fn a_listener_hears_everything_and_a_run_that_is_cancelled_still_comes_to_a_summary() {
    let (subject, oracle, cancel) = (subject("utf8", 1), Oracle::default(), Cancel::new());
    let listener = Impatient { cancel: cancel.clone(), found: Mutex::new(Vec::new()) };
    let plan = Plan { runs: None, ..Plan::default() };
    let fuzzer = Fuzzer { cancel, listener: &listener, ..fuzzer(&subject, &oracle, plan) };
    let summary = fuzzer.run(vec![b"seed \xff".to_vec()]).unwrap();
    assert_eq!(summary.tally.runs, 100);
    assert_eq!(summary.findings, *listener.found.lock().unwrap());
    assert_found(&summary, Flaw::Panicked, b"\xff");
    assert!(summary.tally.kept > 0);
    assert_eq!(summary.corpus.len(), summary.tally.kept);
}

#[test]
fn without_time_only_what_was_found_earlier_is_run() {
    let (subject, oracle) = (subject("utf8", 1), Oracle::default());
    let plan = Plan { runs: None, time: Some(Duration::ZERO), ..Plan::default() };
    let fuzzer = Fuzzer { earlier: vec![b"\xfe".to_vec()], ..fuzzer(&subject, &oracle, plan) };
    let summary = fuzzer.run(vec![b"\xff".to_vec()]).unwrap();
    assert_found(&summary, Flaw::Panicked, b"\xfe");
    assert_eq!((summary.tally.runs, summary.findings.len()), (1, 1), "{summary:?}");
}

#[test]
fn a_payload_that_is_late_only_where_it_gets_less_time_is_no_finding() {
    let (subject, mut oracle) = (subject("wait", 1), Oracle::default());
    oracle.allow(Flaw::TimedOut);
    for byte in [b'e', b'w'] {
        let ends = move |payload: &[u8], outcome: &Outcome| {
            payload.first() != Some(&byte) || matches!(outcome, Outcome::Succeeded(_))
        };
        oracle.expect(format!("{} to end", char::from(byte)), ends);
    }
    // The first never ends, so the next gets less time than its limit, and less than it takes.
    let summary = fuzzer(&subject, &oracle, Plan { runs: Some(0), ..Plan::default() });
    let summary = summary.run(vec![b"e".to_vec(), b"w".to_vec()]).unwrap();
    assert_eq!(summary.tally.outcomes["timed_out"], 2, "{summary:?}");
    assert_found(&summary, Flaw::Unexpected, b"e");
    assert_eq!(summary.findings.len(), 1, "{summary:?}");
}
