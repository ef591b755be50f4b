//! Chains and batches, with real guests: replies are passed on, and a callback gets the counts.

use afresh_queue::{Batch, BatchState, Link, Member, NewJob, State};
use serde_json::{Value, json};

use crate::guests;
use crate::site::{Site, on_each_broker};

on_each_broker!(a_chain_passes_replies_on_and_a_batch_calls_back_with_the_counts);

fn a_chain_passes_replies_on_and_a_batch_calls_back_with_the_counts(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("fail", &guests::leave(65, "no such picture"));
    let id = |name: &str| name.parse().unwrap();
    let links = ["second", "third"].map(|name| Link::new(id(name), "echo")).to_vec();
    let chain = NewJob::new("echo", "handed from guest to guest").id(id("first")).then(links);
    let dies = NewJob::new("fail", "").id(id("dies"));
    let callback = NewJob::new("echo", "for the callback").id(id("callback"));
    site.enqueue_batch(&Batch {
        id: id("batch"),
        queue: "default".into(),
        jobs: vec![Member::Job(chain), Member::Job(dies)],
        then: Some(callback),
    });
    let mut worker = site.worker().slots(2).burst().start();
    assert_eq!(worker.ends(), 0);
    assert_eq!(site.succeeds(&id("third")), "handed from guest to guest");
    assert_eq!(site.job(&id("dies")).state, State::Dead);
    let told: Value = serde_json::from_str(&site.succeeds(&id("callback"))).unwrap();
    assert_eq!(
        told,
        json!({"batch": "batch", "total": 2, "succeeded": 1, "dead": 1, "cancelled": 0, "expired": 0, "removed": 0,
            "payload": "for the callback"})
    );
    assert_eq!(site.batch(&id("batch")).state, BatchState::Finished);
}
