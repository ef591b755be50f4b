//! What a producer meets at `Client`.

use std::sync::Arc;
use std::time::Duration;

use afresh_queue::job::DEFAULT_MAX_PAYLOAD;
use afresh_queue::{
    BrokerError, Client, JobLog, Lease, LoggedLine, Moment, NewJob, Note, Settlement, State, Timestamp,
};

use crate::subject::{Subject, complete, id, job, jobs};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_and_nothing_is_enqueued() {
    let s = Subject::sqlite_in_memory().await;
    let client = Client::from_broker(Arc::clone(&s.broker));
    let large = NewJob::new("t", vec![0; DEFAULT_MAX_PAYLOAD + 1]).id(id("large"));
    let many = (0..3_000).map(|n| job(&n.to_string())).chain([large.clone()]).collect();
    for error in [client.enqueue(large.clone()).await.unwrap_err(), client.enqueue_all(many).await.unwrap_err()] {
        assert!(matches!(error, BrokerError::Invalid(_)));
        let said = error.to_string();
        assert!(said.contains("job large: its payload has 1048577 bytes, the limit is 1048576"), "{said}");
    }
    assert_eq!(s.broker.queues().await.unwrap(), []);
    let roomy = client.max_payload(DEFAULT_MAX_PAYLOAD + 1);
    assert!(roomy.enqueue(large).await.unwrap().created, "exactly the limit is fine");
}

#[tokio::test]
async fn many_jobs_go_in_order_over_several_calls() {
    let s = Subject::sqlite_in_memory().await;
    let client = Client::from_broker(Arc::clone(&s.broker));
    let all: Vec<_> = (0..2_500).map(|n| job(&n.to_string())).collect();
    let enqueued = client.enqueue_all(all.clone()).await.unwrap();
    assert!(enqueued.iter().zip(&all).all(|(enqueued, job)| enqueued.created && enqueued.id == job.id));
    let again = client.enqueue_all(all.clone()).await.unwrap();
    assert!(again.iter().all(|enqueued| !enqueued.created));
    let leased = s.lease(9_999).await;
    assert!(leased.iter().zip(&all).all(|(lease, job)| lease.job.id == job.id) && leased.len() == all.len());
}

#[tokio::test]
async fn a_result_can_be_waited_for() {
    let s = Subject::sqlite_in_memory().await;
    let client = Client::from_broker(Arc::clone(&s.broker));
    client.enqueue_all(jobs(["good", "bad"])).await.unwrap();
    assert_eq!(client.wait_for_result(&id("good"), Duration::ZERO).await.unwrap(), None);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait_for_result(&id("good"), HOUR).await }
    });
    let leases = s.lease(2).await;
    s.settle(&leases[0], complete("reply", HOUR)).await;
    s.settle(&leases[1], Settlement::Bury).await;
    let finished = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!((finished.job.state, finished.reply), (State::Succeeded, Some(b"reply".to_vec())));
    assert_eq!(client.result(&id("good")).await.unwrap(), Some(b"reply".to_vec()));
    let finished = client.wait_for_result(&id("bad"), HOUR).await.unwrap().unwrap();
    assert_eq!((finished.job.state, finished.reply), (State::Dead, None));
    let error = client.wait_for_result(&id("nobody"), HOUR).await.unwrap_err();
    assert!(error.to_string().contains("there is no job nobody"), "{error}");
}

#[tokio::test]
async fn a_job_that_is_watched_shows_each_line_once_also_where_an_attempt_is_run_again() {
    let s = Subject::redis().await;
    let client = Client::from_broker(Arc::clone(&s.broker));
    client.enqueue(job("j")).await.unwrap();
    let mut watch = client.watch(&id("j"));
    let mut seen = Vec::new();
    let mut show = |moment| match moment {
        Moment::Progress(progress) => seen.push(progress.to_string()),
        Moment::Logged(line) => seen.push(line.text),
    };
    assert_eq!(watch.wait(Duration::ZERO, &mut show).await.unwrap(), None);

    let lease = s.lease_one().await;
    note(&s, &lease, 0.5, &[(1, "a"), (2, "b")]).await;
    assert_eq!(watch.wait(Duration::ZERO, &mut show).await.unwrap(), None);
    assert_eq!(watch.wait(Duration::ZERO, &mut show).await.unwrap(), None, "nothing is shown twice");
    s.settle(&lease, Settlement::Release).await;

    let lease = s.lease_one().await;
    note(&s, &lease, 0.25, &[(1, "again"), (2, "b")]).await;
    s.settle(&lease, complete("reply", HOUR)).await;
    let finished = watch.wait(HOUR, &mut show).await.unwrap().unwrap();
    assert_eq!((finished.job.state, finished.reply), (State::Succeeded, Some(b"reply".to_vec())));
    assert_eq!(seen, ["0.5", "a", "b", "0.25", "again", "b"]);

    let error = client.watch(&id("nobody")).wait(HOUR, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("there is no job nobody"), "{error}");
}

/// Notes how far an attempt is, and lines that it logged after those before.
async fn note(s: &Subject, lease: &Lease, progress: f64, lines: &[(u64, &str)]) {
    let mut log = JobLog::default();
    // Each worker has its own clock, and no two lines are of one instant.
    log.extend(lines.iter().map(|&(number, text)| LoggedLine {
        attempt: 1,
        number,
        at: Timestamp(number as i64 + (progress * 1e6) as i64),
        level: "info".into(),
        text: text.into(),
    }));
    let note = Note { lease: lease.reference(), progress: Some(progress), log };
    s.broker.note(&[note]).await.unwrap();
}
