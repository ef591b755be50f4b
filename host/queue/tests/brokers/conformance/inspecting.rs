//! What people see, and do by hand.

use std::time::Duration;

use afresh_protocol::OutcomeKind;
use afresh_queue::policy::KEEP_CANCELLED;
use afresh_queue::{Cancelled, Counters, JobFilter, JobOptions, NewJob, QueueCounts, Settle, Settlement, State};

use crate::subject::{
    LEASE, START, Subject, attempt, complete, history, id, job, jobs, names, retry_in, settle, starts,
};

const SECOND: Duration = Duration::from_secs(1);

/// One job in every state, by the state's name; and the lease of the running one.
async fn one_in_every_state(s: &Subject) -> afresh_queue::Lease {
    s.enqueue(jobs(["succeeded", "dead", "cancelled", "running", "queued"])).await;
    s.enqueue(vec![job("scheduled").run_at(START.after(SECOND * 3600))]).await;
    s.enqueue(vec![job("expired").expires_at(START)]).await;
    let mut leases = s.lease(4).await;
    s.settle(&leases[0], complete("reply", LEASE)).await;
    let bury = Settle {
        history: history(OutcomeKind::Rejected).into(),
        outcome: OutcomeKind::Rejected,
        ..settle(&leases[1], Settlement::Bury)
    };
    s.broker.settle(&[bury]).await.unwrap();
    s.settle(&leases[2], Settlement::Cancel).await;
    s.promote().await;
    leases.remove(3)
}

pub(super) async fn a_job_is_shown_as_it_stands(s: &Subject) {
    let options = JobOptions { priority: 5, max_attempts: Some(3), ..JobOptions::default() };
    s.enqueue(vec![NewJob::new("resize", vec![7; 300]).id(id("a")).queue("images").options(options)]).await;
    let shown = s.job("a").await.unwrap();
    assert_eq!((shown.id.as_str(), shown.task.as_str(), shown.queue.as_str()), ("a", "resize", "images"));
    assert_eq!((shown.state, shown.priority, shown.payload_bytes), (State::Queued, 5, 300));
    assert_eq!((shown.enqueued_at, shown.run_at, shown.finished_at), (START, START, None));
    assert_eq!((shown.max_attempts, shown.attempts_started, shown.result_bytes), (Some(3), 0, None));
    assert!(shown.attempts.is_empty());
    assert_eq!(s.broker.payload(&id("a")).await.unwrap(), Some(vec![7; 300]));

    let running = one_in_every_state(s).await;
    for state in State::ALL {
        let shown = s.job(state.as_str()).await.unwrap();
        assert_eq!(shown.state, state);
        assert_eq!(shown.finished_at.is_some(), state.is_terminal(), "{state}");
        assert_eq!(shown.result_bytes, (state == State::Succeeded).then_some(5));
        let leased = !matches!(state, State::Queued | State::Scheduled | State::Expired);
        assert_eq!(shown.attempts_started, u32::from(leased), "{state}");
    }
    assert_eq!(running.job.id, id("running"));
}

pub(super) async fn listings_are_newest_first_and_filtered(s: &Subject) {
    one_in_every_state(s).await;
    s.advance(SECOND);
    s.enqueue(vec![NewJob::new("u", "").id(id("older")), NewJob::new("u", "").id(id("elsewhere")).queue("other")])
        .await;
    s.advance(SECOND);
    s.enqueue(vec![NewJob::new("u", "").id(id("a-newer"))]).await;
    let all = JobFilter::default();
    let everything = [
        "a-newer",
        "older",
        "elsewhere",
        "succeeded",
        "scheduled",
        "running",
        "queued",
        "expired",
        "dead",
        "cancelled",
    ];
    assert_eq!(s.list(all.clone()).await, everything);
    let two = s.broker.jobs(&JobFilter { limit: 2, ..all.clone() }).await.unwrap();
    assert_eq!(two.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), everything[..2]);

    assert_eq!(s.list(JobFilter { queue: Some("other".into()), ..all.clone() }).await, ["elsewhere"]);
    assert_eq!(s.list(JobFilter { task: Some("u".into()), ..all.clone() }).await, ["a-newer", "older", "elsewhere"]);
    assert_eq!(s.list(JobFilter { queue: Some("nowhere".into()), ..all.clone() }).await, [""; 0]);
    for state in State::ALL.into_iter().filter(|&state| state != State::Queued) {
        assert_eq!(s.list(JobFilter { state: Some(state), ..all.clone() }).await, [state.as_str()]);
    }
    assert_eq!(
        s.list(JobFilter { state: Some(State::Queued), ..all.clone() }).await,
        ["a-newer", "older", "elsewhere", "queued"]
    );
    let ended = |kind| JobFilter { outcome: Some(kind), ..all.clone() };
    assert_eq!(s.list(ended(OutcomeKind::Rejected)).await, ["dead"]);
    assert_eq!(s.list(ended(OutcomeKind::Succeeded)).await, ["succeeded"]);
    assert_eq!(s.list(ended(OutcomeKind::Lost)).await, [""; 0]);
    let mixed = JobFilter { task: Some("u".into()), queue: Some("default".into()), state: Some(State::Queued), ..all };
    assert_eq!(s.list(mixed).await, ["a-newer", "older"]);
}

pub(super) async fn queues_are_counted(s: &Subject) {
    one_in_every_state(s).await;
    s.advance(SECOND);
    s.enqueue(vec![job("x").queue("another"), job("y").queue("another")]).await;
    let another = QueueCounts {
        queue: "another".into(),
        queued: 2,
        oldest_queued_at: Some(START.after(SECOND)),
        ..QueueCounts::default()
    };
    let default = QueueCounts {
        queue: "default".into(),
        scheduled: 1,
        queued: 1,
        held: 0,
        running: 1,
        succeeded: 1,
        dead: 1,
        cancelled: 1,
        expired: 1,
        oldest_queued_at: Some(START),
    };
    assert_eq!(s.broker.queues().await.unwrap(), [another, default]);
    s.broker.lease(&request_all("another")).await.unwrap();
    let emptied = s.broker.queues().await.unwrap().remove(0);
    assert_eq!((emptied.queued, emptied.running, emptied.oldest_queued_at), (0, 2, None));
}

fn request_all(queue: &str) -> afresh_queue::LeaseRequest {
    crate::subject::request(queue, 9)
}

pub(super) async fn waiting_jobs_are_cancelled_and_no_others(s: &Subject) {
    one_in_every_state(s).await;
    let all = ["queued", "scheduled", "succeeded", "dead", "cancelled", "nobody"].map(id);
    let (done, refused) = (Cancelled::Done, Cancelled::Refused);
    let answers = [done, done, refused, refused, refused, refused];
    assert_eq!(s.broker.cancel(&all).await.unwrap(), answers);
    s.advance(SECOND * 3600);
    assert_eq!((s.promote().await, s.lease(9).await), (0, vec![]));
    let shown = s.job("queued").await.unwrap();
    assert_eq!((shown.state, shown.finished_at), (State::Cancelled, Some(START)));
    assert_eq!(s.counts().await.cancelled, 3);
    s.advance(KEEP_CANCELLED - SECOND * 3600);
    s.promote().await;
    assert_eq!((s.counts().await.cancelled, s.state("scheduled").await), (0, None));
}

pub(super) async fn ended_jobs_are_retried_and_no_others(s: &Subject) {
    one_in_every_state(s).await;
    s.advance(SECOND);
    let all = ["dead", "queued", "scheduled", "running", "succeeded", "cancelled", "expired", "nobody"].map(id);
    assert_eq!(s.broker.retry(&all).await.unwrap(), [true, false, false, false, false, true, true, false]);
    let shown = s.job("dead").await.unwrap();
    assert_eq!((shown.state, shown.finished_at, shown.attempts_started), (State::Queued, None, 0));
    assert_eq!(shown.attempts, [attempt(1, OutcomeKind::Rejected)], "its history stays");
    assert_eq!(shown.run_at, START.after(SECOND));
    s.advance(KEEP_CANCELLED);
    s.promote().await;
    let leases = s.lease(9).await;
    assert_eq!(names(&leases), ["queued", "dead", "cancelled", "expired", "scheduled"]);
    assert_eq!(leases[1].job.counters, starts(1));
    assert_eq!(leases[1].job.history.attempts().len(), 1);
}

pub(super) async fn jobs_that_do_not_run_are_removed(s: &Subject) {
    let running = one_in_every_state(s).await;
    let all = ["dead", "queued", "scheduled", "running", "succeeded", "cancelled", "expired", "nobody"].map(id);
    assert_eq!(s.broker.remove(&all).await.unwrap(), [true, true, true, false, true, true, true, false]);
    assert_eq!(s.list(JobFilter::default()).await, ["running"]);
    assert_eq!(s.broker.result(&id("succeeded")).await.unwrap(), None);
    assert_eq!(s.broker.payload(&id("dead")).await.unwrap(), None);
    let counts = s.counts().await;
    assert_eq!(counts, QueueCounts { queue: "default".into(), running: 1, ..QueueCounts::default() });
    s.advance(SECOND * 7200);
    assert_eq!((s.promote().await, s.lease(9).await), (0, vec![]));
    s.settle(&running, retry_in(Duration::ZERO)).await;
    assert!(s.enqueue(jobs(["dead"])).await[0].created);
    assert_eq!(s.lease(9).await[1].job.counters, Counters { starts: 1, ..Counters::default() });
}

pub(super) async fn a_purge_removes_what_waits(s: &Subject) {
    one_in_every_state(s).await;
    s.enqueue(vec![job("elsewhere").queue("other")]).await;
    assert_eq!(s.broker.purge("default").await.unwrap(), 2);
    let counts = s.counts().await;
    assert_eq!((counts.scheduled, counts.queued, counts.running, counts.dead), (0, 0, 1, 1));
    assert_eq!((s.state("queued").await, s.state("scheduled").await), (None, None));
    assert_eq!(s.state("elsewhere").await, Some(State::Queued));
    assert_eq!(s.broker.purge("default").await.unwrap(), 0);
}

pub(super) async fn what_nobody_knows_is_nowhere(s: &Subject) {
    let nobody = id("nobody");
    assert_eq!(s.job("nobody").await, None);
    assert_eq!(s.broker.payload(&nobody).await.unwrap(), None);
    assert_eq!(s.broker.result(&nobody).await.unwrap(), None);
    assert_eq!(s.list(JobFilter::default()).await, [""; 0]);
    assert!(s.broker.queues().await.unwrap().is_empty());
    s.broker.check().await.unwrap();
    assert!(!s.broker.describe().is_empty());
}
