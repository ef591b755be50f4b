//! What a job tells while it runs, and what dead ones have in common.

use std::time::Duration;

use afresh_protocol::{ErrorRecord, OutcomeKind};
use afresh_queue::log::MAX_LOG_BYTES;
use afresh_queue::{
    AttemptRecord, Failures, History, JobFilter, JobLog, Lease, LoggedLine, NewJob, Note, Retention, Settle,
    Settlement, State,
};

use crate::subject::{LEASE, START, Subject, attempt, complete, id, job, jobs, retry_in, settle};

const SECOND: Duration = Duration::from_secs(1);

/// Lines of the first attempt, numbered from `first`.
fn log(first: u64, texts: &[&str]) -> JobLog {
    let mut log = JobLog::default();
    log.extend((first..).zip(texts).map(|(number, text)| LoggedLine {
        attempt: 1,
        number,
        at: START,
        level: "info".to_owned(),
        text: (*text).to_owned(),
    }));
    log
}

fn note(lease: &Lease, progress: Option<f64>, log: JobLog) -> Note {
    Note { lease: lease.reference(), progress, log }
}

async fn told(s: &Subject, name: &str) -> (Option<f64>, JobLog) {
    (s.job(name).await.unwrap().progress, s.broker.log(&id(name)).await.unwrap())
}

pub(super) async fn progress_and_log_are_seen_while_the_job_runs_and_afterwards(s: &Subject) {
    let none = JobLog::default;
    s.enqueue(jobs(["a", "b"])).await;
    let leases = s.lease(2).await;
    assert_eq!(told(s, "a").await, (None, none()));
    let first = [note(&leases[0], Some(0.25), none()), note(&leases[1], None, log(1, &["b"]))];
    s.broker.note(&first).await.unwrap();
    s.broker.note(&[note(&leases[0], None, log(1, &["one", "two"]))]).await.unwrap();
    assert_eq!(told(s, "a").await, (Some(0.25), log(1, &["one", "two"])));
    let last = note(&leases[0], Some(1.0), log(3, &["\u{1b}é"]));
    s.broker.note(std::slice::from_ref(&last)).await.unwrap();
    s.broker.note(&[last]).await.unwrap();
    s.settle(&leases[0], complete("", LEASE)).await;
    assert_eq!(told(s, "a").await, (Some(1.0), log(1, &["one", "two", "\u{1b}é"])));
    s.broker.note(&[note(&leases[0], Some(0.5), log(4, &["stale"]))]).await.unwrap();
    assert_eq!(told(s, "a").await.0, Some(1.0), "a stale attempt tells nothing");
    s.settle(&leases[1], retry_in(Duration::ZERO)).await;
    let again = s.lease_one().await;
    s.broker.note(&[note(&again, Some(0.5), none())]).await.unwrap();
    s.settle(&again, retry_in(Duration::ZERO)).await;
    assert_eq!(told(s, "b").await.0, Some(0.5));
    s.lease_one().await;
    assert_eq!((told(s, "b").await, s.broker.log(&id("nobody")).await.unwrap()), ((None, log(1, &["b"])), none()));
}

pub(super) async fn a_log_keeps_the_newest_lines_of_all_attempts_within_its_bounds(s: &Subject) {
    s.enqueue(jobs(["a"])).await;
    for round in 0..5 {
        let lease = s.lease_one().await;
        for n in 0..30 {
            let line = "x".repeat(400);
            s.broker.note(&[note(&lease, None, log(round * 30 + n + 1, &[&line]))]).await.unwrap();
        }
        s.settle(&lease, retry_in(Duration::ZERO)).await;
    }
    let kept = s.broker.log(&id("a")).await.unwrap();
    let numbers: Vec<_> = kept.lines().map(|line| line.number).collect();
    let first = 151 - numbers.len() as u64;
    assert_eq!(numbers, (first..=150).collect::<Vec<_>>());
    assert!(numbers.len() > 30 && kept.encode().len() <= MAX_LOG_BYTES, "{} bytes", kept.encode().len());
}

/// Lets a job die with this error.
async fn die(s: &Subject, job: NewJob, kind: OutcomeKind, message: &str) {
    s.enqueue(vec![job]).await;
    let lease = s.lease_one().await;
    let mut history = History::default();
    history.push(AttemptRecord { error: Some(ErrorRecord::new(kind.as_str(), message)), ..attempt(1, kind) });
    let bury = Settle { history: history.into(), outcome: kind, ..settle(&lease, Settlement::Bury) };
    s.broker.settle(&[bury]).await.unwrap();
    s.advance(SECOND);
}

pub(super) async fn dead_jobs_that_failed_alike_are_one_group(s: &Subject) {
    for n in 0..3 {
        die(s, job(&format!("j{n}")), OutcomeKind::Failed, &format!("no such customer: {n}")).await;
    }
    die(s, job("other"), OutcomeKind::Failed, "disk full").await;
    die(s, job("trap"), OutcomeKind::Trapped, "no such customer: 1").await;
    die(s, NewJob::new("u", "").id(id("u")), OutcomeKind::Failed, "no such customer: 9").await;
    let all = JobFilter { limit: 10, ..JobFilter::default() };
    let groups = s.broker.failures(&all).await.unwrap();
    let shown: Vec<_> = groups.iter().map(|g| (g.task.as_str(), g.kind, g.jobs, g.newest.as_str())).collect();
    assert_eq!(shown[0], ("t", OutcomeKind::Failed, 3, "j2"));
    assert_eq!(shown.len(), 4);
    let Failures { fingerprint, message, newest_at, .. } = &groups[0];
    assert_eq!((message.as_str(), *newest_at), ("no such customer: 2", START.after(SECOND * 2)));
    assert_eq!(s.broker.failures(&JobFilter { limit: 1, ..all.clone() }).await.unwrap(), groups[..1]);
    let of_trap = JobFilter { outcome: Some(OutcomeKind::Trapped), ..all.clone() };
    assert_eq!(s.broker.failures(&of_trap).await.unwrap()[0].newest, id("trap"));

    let alike = JobFilter { task: Some("t".into()), fingerprint: Some(fingerprint.clone()), ..all.clone() };
    assert_eq!(s.list(alike.clone()).await, ["j2", "j1", "j0"]);
    s.broker.retry(&["j0", "j1"].map(id)).await.unwrap();
    assert_eq!(s.list(alike.clone()).await, ["j2"], "what runs again has failed no more");
    s.broker.remove(&[id("j2")]).await.unwrap();
    assert_eq!(s.broker.failures(&alike).await.unwrap(), []);
}

pub(super) async fn dead_jobs_are_kept_for_their_time(s: &Subject) {
    let retention = Retention { dead_for: SECOND * 10, ..Retention::default() };
    die(s, job("a"), OutcomeKind::Failed, "x").await;
    s.advance(SECOND * 4);
    die(s, job("b"), OutcomeKind::Failed, "x").await;
    s.advance(SECOND * 4);
    let queues = ["default".to_owned()];
    s.broker.promote(&queues, &retention).await.unwrap();
    assert_eq!((s.state("a").await, s.state("b").await), (None, Some(State::Dead)), "a died ten seconds ago");
}

pub(super) async fn dead_jobs_are_kept_while_there_is_room_for_them(s: &Subject) {
    let large = |name| NewJob::new("t", vec![1; 100_000]).id(id(name));
    for name in ["a", "b", "c", "d"] {
        die(s, large(name), OutcomeKind::Failed, "x").await;
    }
    let keep = async |dead_bytes| {
        let retention = Retention { dead_bytes, ..Retention::default() };
        s.broker.promote(&["default".to_owned()], &retention).await.unwrap();
        s.list(JobFilter { state: Some(State::Dead), ..JobFilter::default() }).await
    };
    assert_eq!(keep(500_000).await, ["d", "c", "b", "a"]);
    assert_eq!(keep(210_000).await, ["d", "c"], "the oldest go first");
    s.broker.retry(&[id("d")]).await.unwrap();
    let again = s.lease_one().await;
    s.settle(&again, complete("", Duration::ZERO)).await;
    die(s, large("e"), OutcomeKind::Failed, "x").await;
    assert_eq!(keep(210_000).await, ["e", "c"], "what left by itself takes no room");
    s.broker.remove(&["c", "e"].map(id)).await.unwrap();
    for name in ["f", "g"] {
        die(s, large(name), OutcomeKind::Failed, "x").await;
    }
    assert_eq!(keep(210_000).await.len(), 2);
    assert_eq!(keep(0).await, [""; 0]);
}
