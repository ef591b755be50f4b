//! In a fair queue keys take turns.

use std::time::Duration;

use afresh_queue::{JobOptions, NewJob, Settlement};

use crate::subject::{Subject, complete, id, job, names, retry_in};

fn of(key: &str, name: &str) -> NewJob {
    job(name).key(key)
}

async fn fair(s: &Subject) {
    assert!(s.broker.set_fair("default", true).await.unwrap());
    assert!(!s.broker.set_fair("default", true).await.unwrap(), "it is already");
}

/// The first letters of the jobs leased one by one.
async fn order(s: &Subject, count: usize) -> String {
    let mut order = String::new();
    for _ in 0..count {
        order += &s.lease_one().await.job.id.as_str()[..1];
    }
    order
}

pub(super) async fn keys_take_turns_however_many_jobs_each_has(s: &Subject) {
    fair(s).await;
    s.enqueue((0..6).map(|n| of("a", &format!("a{n}"))).collect()).await;
    s.enqueue((0..3).map(|n| of("b", &format!("b{n}"))).collect()).await;
    s.enqueue(vec![job("none")]).await;
    let leases = s.lease(99).await;
    assert_eq!(names(&leases), ["a0", "b0", "none", "a1", "b1", "a2", "b2", "a3", "a4", "a5"]);
}

pub(super) async fn one_job_does_not_wait_for_anothers_thousands(s: &Subject) {
    fair(s).await;
    s.enqueue((0..3_000).map(|n| of("a", &format!("a{n}"))).collect()).await;
    assert_eq!(s.lease(500).await.len(), 500);
    s.enqueue(vec![of("b", "b")]).await;
    let next = s.lease(3).await;
    assert!(names(&next).contains(&"b"), "{:?}", names(&next));
}

pub(super) async fn a_key_that_was_away_saves_nothing_up(s: &Subject) {
    fair(s).await;
    s.enqueue((0..20).map(|n| of("a", &format!("a{n}"))).collect()).await;
    assert_eq!(order(s, 10).await, "aaaaaaaaaa");
    s.enqueue((0..20).map(|n| of("b", &format!("b{n}"))).collect()).await;
    let turns = order(s, 8).await;
    assert!(matches!(turns.as_str(), "babababa" | "abababab"), "{turns}");
}

pub(super) async fn turns_are_taken_within_a_priority(s: &Subject) {
    fair(s).await;
    let urgent = |job: NewJob| job.options(JobOptions { priority: 1, ..JobOptions::default() });
    s.enqueue((0..4).map(|n| of("a", &format!("a{n}"))).collect()).await;
    s.enqueue((0..4).map(|n| urgent(of("a", &format!("A{n}")))).collect()).await;
    assert_eq!(order(s, 3).await, "AAA");
    s.enqueue(vec![of("b", "b0"), urgent(of("b", "B0"))]).await;
    let turns = order(s, 2).await;
    assert!(turns == "AB" || turns == "BA", "{turns}");
    let turns = order(s, 2).await;
    assert!(turns == "ab" || turns == "ba", "what was leased before others is no debt: {turns}");
}

pub(super) async fn what_comes_back_takes_its_place_or_a_new_turn(s: &Subject) {
    fair(s).await;
    s.enqueue(vec![of("a", "a0"), of("a", "a1"), of("a", "a2"), of("b", "b0")]).await;
    let first = s.lease_one().await;
    assert_eq!(first.job.id, id("a0"));
    s.settle(&first, Settlement::Release).await;
    let again = s.lease_one().await;
    assert_eq!(again.job.id, id("a0"), "a released job has its place back");
    s.settle(&again, retry_in(Duration::ZERO)).await;
    assert_eq!(names(&s.lease(9).await), ["b0", "a1", "a2", "a0"], "a retried one its key's next turn");
}

pub(super) async fn a_queue_becomes_fair_and_first_in_first_out_again(s: &Subject) {
    s.enqueue(vec![of("a", "a0"), of("a", "a1"), of("b", "b0")]).await;
    fair(s).await;
    s.enqueue(vec![of("a", "a2"), of("a", "a3"), of("b", "b1")]).await;
    assert!(s.broker.set_fair("default", false).await.unwrap());
    s.enqueue(vec![of("a", "a4"), of("c", "c0")]).await;
    let leases = s.lease(99).await;
    assert_eq!(names(&leases), ["a0", "a1", "b0", "a2", "b1", "a3", "a4", "c0"]);
    for lease in &leases {
        s.settle(lease, complete("", Duration::ZERO)).await;
    }
}
