//! Periodic jobs: one job for each time that is due, whoever serves the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_queue::{BrokerError, Cron, CronView, JobFilter, JobOptions, Missed, Retention, State};

use crate::subject::{START, Subject, names};

const MINUTE: Duration = Duration::from_secs(60);

/// Every five minutes from the start of the clock.
fn cron(name: &str) -> Cron {
    Cron {
        name: name.into(),
        schedule: "*/5 * * * *".into(),
        timezone: "UTC".into(),
        missed: Missed::Skip,
        queue: "default".into(),
        task: "tidy".into(),
        payload: b"\x00\xff".to_vec(),
        options: JobOptions { priority: 7, ..JobOptions::default() },
        key: Some("customer:42".into()),
    }
}

async fn shown(s: &Subject, name: &str) -> CronView {
    let crons = s.broker.crons().await.unwrap();
    crons.into_iter().find(|view| view.cron.name == name).expect("it was added")
}

async fn jobs(s: &Subject) -> Vec<String> {
    s.list(JobFilter::default()).await
}

pub(super) async fn a_job_is_made_for_each_time_and_is_like_any_other(s: &Subject) {
    assert!(s.broker.add_cron(&cron("tidy")).await.unwrap());
    let view = shown(s, "tidy").await;
    assert_eq!((view.cron, view.paused, view.next_at), (cron("tidy"), false, Some(START.after(MINUTE * 5))));
    assert_eq!(s.due().await, Some(MINUTE * 5));
    s.advance(MINUTE * 5 - Duration::from_micros(1));
    s.promote().await;
    assert_eq!(s.lease(9).await, []);
    s.advance(Duration::from_micros(1));
    s.promote().await;
    let lease = s.lease_one().await;
    assert_eq!(lease.job.id.as_str(), "cron:tidy:20260101T000500000000Z");
    assert_eq!((lease.job.task.as_str(), lease.job.payload.as_slice()), ("tidy", &b"\x00\xff"[..]));
    assert_eq!(lease.job.options.priority, 7);
    assert_eq!(s.job(lease.job.id.as_str()).await.unwrap().key.as_deref(), Some("customer:42"));
    let view = shown(s, "tidy").await;
    assert_eq!((view.last_at, view.next_at), (Some(START.after(MINUTE * 5)), Some(START.after(MINUTE * 10))));
    assert_eq!(view.last_job, Some(lease.job.id));
    s.advance(MINUTE * 5);
    s.promote().await;
    assert_eq!(names(&s.lease(9).await), ["cron:tidy:20260101T001000000000Z"]);
}

pub(super) async fn many_workers_make_one_job_for_each_time(s: &Subject) {
    for name in ["a", "b", "c"] {
        s.broker.add_cron(&cron(name)).await.unwrap();
    }
    for round in 1..=3 {
        s.advance(MINUTE * 5);
        let workers: Vec<_> = (0..16)
            .map(|_| {
                let broker = Arc::clone(&s.broker);
                tokio::spawn(async move { broker.promote(&["default".into()], &Retention::default()).await.unwrap() })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(jobs(s).await.len(), 3 * round);
    }
}

pub(super) async fn times_that_were_missed_are_skipped_or_run_once(s: &Subject) {
    s.broker.add_cron(&cron("skip")).await.unwrap();
    s.broker.add_cron(&Cron { missed: Missed::RunOnce, ..cron("once") }).await.unwrap();
    s.advance(MINUTE * 32);
    s.promote().await;
    assert_eq!(jobs(s).await, ["cron:once:20260101T000500000000Z"]);
    for name in ["skip", "once"] {
        assert_eq!(shown(s, name).await.next_at, Some(START.after(MINUTE * 35)));
    }
    s.advance(MINUTE * 3 + Duration::from_secs(59));
    s.promote().await;
    assert_eq!(jobs(s).await.len(), 3, "a little late is not missed");
}

pub(super) async fn a_paused_one_makes_nothing_and_goes_on_from_its_next_time(s: &Subject) {
    s.broker.add_cron(&cron("tidy")).await.unwrap();
    assert!(s.broker.pause_cron("tidy", true).await.unwrap());
    assert_eq!((shown(s, "tidy").await.paused, shown(s, "tidy").await.next_at), (true, None));
    s.advance(MINUTE * 7);
    assert_eq!(s.due().await, None);
    assert!(!s.broker.add_cron(&Cron { task: "other".into(), ..cron("tidy") }).await.unwrap(), "it was there");
    assert!(shown(s, "tidy").await.paused, "changing it does not start it");
    assert!(s.broker.pause_cron("tidy", false).await.unwrap());
    assert_eq!(shown(s, "tidy").await.next_at, Some(START.after(MINUTE * 10)));
    s.advance(MINUTE * 3);
    s.promote().await;
    assert_eq!(s.lease_one().await.job.task, "other");
    assert!(!s.broker.pause_cron("nobody", true).await.unwrap());
}

pub(super) async fn adding_it_again_unchanged_drops_no_time_that_has_come(s: &Subject) {
    let once = Cron { missed: Missed::RunOnce, ..cron("tidy") };
    s.broker.add_cron(&once).await.unwrap();
    s.advance(MINUTE * 12);
    s.broker.add_cron(&Cron { task: "other".into(), ..once.clone() }).await.unwrap();
    s.promote().await;
    assert_eq!(s.lease_one().await.job.task, "other", "the time was missed, and is made up for");
    s.advance(MINUTE * 12);
    s.broker.add_cron(&Cron { schedule: "0 * * * *".into(), ..once }).await.unwrap();
    s.promote().await;
    assert_eq!(s.lease(9).await, [], "other times are other times");
}

pub(super) async fn a_removed_one_is_gone_and_its_jobs_stay(s: &Subject) {
    s.broker.add_cron(&cron("tidy")).await.unwrap();
    s.advance(MINUTE * 5);
    s.promote().await;
    assert!(s.broker.remove_cron("tidy").await.unwrap());
    assert!(!s.broker.remove_cron("tidy").await.unwrap());
    assert_eq!(s.broker.crons().await.unwrap(), []);
    s.advance(MINUTE * 60);
    s.promote().await;
    assert_eq!(jobs(s).await, ["cron:tidy:20260101T000500000000Z"]);
    assert_eq!(s.state("cron:tidy:20260101T000500000000Z").await, Some(State::Queued));
}

pub(super) async fn one_that_cannot_be_or_is_elsewhere_is_refused(s: &Subject) {
    s.broker.add_cron(&cron("tidy")).await.unwrap();
    for (wrong, reason) in [
        (Cron { schedule: "5 past".into(), ..cron("a") }, "is not a cron line"),
        (Cron { name: "../a".into(), ..cron("a") }, "is not a name"),
        (Cron { queue: "other".into(), ..cron("tidy") }, "a periodic job tidy in the queue default"),
    ] {
        let error = s.broker.add_cron(&wrong).await.unwrap_err();
        assert!(matches!(&error, BrokerError::Invalid(said) if said.contains(reason)), "{error:?}");
    }
    assert_eq!(s.broker.crons().await.unwrap().len(), 1);
}

pub(super) async fn a_wait_ends_when_one_is_added_that_is_due_soon(s: &Subject) {
    s.broker.wait(&["default".into()], Duration::from_millis(50)).await;
    assert_eq!(s.lease(1).await, []);
    s.broker.add_cron(&cron("tidy")).await.unwrap();
    s.advance(MINUTE * 5);
    let began = Instant::now();
    s.broker.wait(&["default".into()], MINUTE).await;
    assert!(began.elapsed() < MINUTE / 4, "the wait took {:?}", began.elapsed());
}
