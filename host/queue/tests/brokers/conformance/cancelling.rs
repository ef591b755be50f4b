//! Cancelling a job that runs: its worker is told, and it does not run again.

use std::time::Duration;

use afresh_queue::{Beat, Cancelled, Extended, LeaseRef, Settled, Settlement, State};

use crate::subject::{LEASE, Subject, beat, complete, id, jobs, retry_in};

/// What the next request to cancel is about; at once, for a test waits for nothing.
async fn heard(s: &Subject) -> Vec<LeaseRef> {
    loop {
        let waiting = s.broker.cancellations();
        let leases = tokio::time::timeout(Duration::from_secs(15), waiting).await.expect("nobody is told");
        // None means that something may have been missed, as at the start.
        if !leases.is_empty() {
            return leases;
        }
    }
}

/// Listens, so that from now on everything is heard.
async fn listen(s: &Subject) {
    let _ = tokio::time::timeout(Duration::from_millis(200), s.broker.cancellations()).await;
}

pub(super) async fn the_worker_of_a_running_job_is_told(s: &Subject) {
    listen(s).await;
    s.enqueue(jobs(["a", "b", "c"])).await;
    let leases = s.lease(3).await;
    let ids = ["b", "nobody", "c"].map(id);
    assert_eq!(s.broker.cancel(&ids).await.unwrap(), [Cancelled::Asked, Cancelled::Refused, Cancelled::Asked]);
    let mut told = heard(s).await;
    while told.len() < 2 {
        told.extend(heard(s).await);
    }
    told.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(told, [leases[1].reference(), leases[2].reference()]);
    let shown = s.job("b").await.unwrap();
    assert_eq!((shown.state, shown.cancelling), (State::Running, true));
    assert!(!s.job("a").await.unwrap().cancelling);
    assert_eq!(s.settle(&leases[1], Settlement::Cancel).await, Settled::Done);
    let shown = s.job("b").await.unwrap();
    assert_eq!((shown.state, shown.cancelling), (State::Cancelled, false));
}

pub(super) async fn a_worker_that_missed_it_learns_it_from_its_heartbeat(s: &Subject) {
    s.enqueue(jobs(["a", "b"])).await;
    let leases = s.lease(2).await;
    s.broker.cancel(&[id("a")]).await.unwrap();
    let beats = [beat(&leases[0]), Beat { begun: false, ..beat(&leases[1]) }];
    assert_eq!(s.broker.extend(&beats, LEASE).await.unwrap(), [Extended::Cancelling, Extended::Held]);
}

pub(super) async fn it_does_not_run_again(s: &Subject) {
    for back in [retry_in(Duration::ZERO), retry_in(LEASE), Settlement::Release] {
        s.enqueue(jobs(["a"])).await;
        let lease = s.lease_one().await;
        s.broker.cancel(&[id("a")]).await.unwrap();
        assert_eq!(s.settle(&lease, back).await, Settled::Done);
        assert_eq!((s.state("a").await, s.lease(9).await), (Some(State::Cancelled), vec![]));
        s.broker.remove(&[id("a")]).await.unwrap();
    }
    s.enqueue(jobs(["a"])).await;
    s.lease_one().await;
    s.broker.cancel(&[id("a")]).await.unwrap();
    s.advance(LEASE);
    let lost = s.reap(9).await.remove(0);
    s.settle(&lost, retry_in(Duration::ZERO)).await;
    assert_eq!(s.state("a").await, Some(State::Cancelled), "nor after its worker vanished");
}

pub(super) async fn one_that_ends_first_has_ended(s: &Subject) {
    s.enqueue(jobs(["a", "b"])).await;
    let leases = s.lease(2).await;
    s.broker.cancel(&["a", "b"].map(id)).await.unwrap();
    s.settle(&leases[0], complete("reply", LEASE)).await;
    s.settle(&leases[1], Settlement::Bury).await;
    assert_eq!((s.state("a").await, s.state("b").await), (Some(State::Succeeded), Some(State::Dead)));
    s.broker.retry(&[id("b")]).await.unwrap();
    let again = s.lease_one().await;
    assert_eq!(s.broker.extend(&[beat(&again)], LEASE).await.unwrap(), [Extended::Held], "a new run is a new thing");
}
