//! Chains and batches: what follows, what belongs together, and what becomes of it when jobs end.

use std::time::Duration;

use afresh_queue::{
    Batch, BatchCancelled, BatchState, BatchView, BrokerError, JobOptions, Lease, Link, Member, NewJob, Settlement,
    State, Unique, UniqueScope,
};
use serde_json::{Value, json};

use crate::subject::{START, Subject, complete, id, job, names, retry_in};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn links<const N: usize>(names: [&str; N]) -> Vec<Link> {
    names.map(|name| Link::new(id(name), "t")).to_vec()
}

/// A batch of these members, with a callback `done`.
fn batch(name: &str, jobs: Vec<Member>) -> Batch {
    Batch { id: id(name), queue: "default".into(), jobs, then: Some(job("done")) }
}

fn members<const N: usize>(names: [&str; N]) -> Vec<Member> {
    names.map(|name| Member::Job(job(name))).to_vec()
}

async fn accept(s: &Subject, batch: &Batch) {
    assert!(s.broker.enqueue_batch(batch).await.unwrap().created);
}

async fn shown(s: &Subject, name: &str) -> BatchView {
    s.broker.batch(&id(name)).await.unwrap().expect("the batch is kept")
}

/// Pending, succeeded, dead, cancelled, expired, removed.
async fn counts(s: &Subject, name: &str) -> [u64; 6] {
    let BatchView { pending, succeeded, dead, cancelled, expired, removed, .. } = shown(s, name).await;
    [pending, succeeded, dead, cancelled, expired, removed]
}

/// The jobs of a batch, each with its state.
async fn jobs(s: &Subject, name: &str) -> Vec<(String, State)> {
    let jobs = s.broker.batch_jobs(&id(name)).await.unwrap();
    jobs.into_iter().map(|job| (job.id.to_string(), job.state)).collect()
}

/// Leases the one job there is, which is this one.
async fn start(s: &Subject, name: &str) -> Lease {
    let mut leases = s.lease(9).await;
    assert_eq!(names(&leases), [name]);
    leases.remove(0)
}

async fn end(s: &Subject, name: &str, settlement: Settlement) {
    let lease = start(s, name).await;
    s.settle(&lease, settlement).await;
}

fn invalid(error: BrokerError, reason: &str) {
    assert!(matches!(&error, BrokerError::Invalid(said) if said.contains(reason)), "{error:?} does not say {reason:?}");
}

pub(super) async fn a_chain_passes_each_reply_on_and_is_enqueued_one_by_one(s: &Subject) {
    let options = JobOptions { priority: 7, timeout_ms: Some(9), ..JobOptions::default() };
    let second = Link { key: Some("é\"\\".into()), options: options.clone(), ..Link::new(id("b"), "u") };
    let then = vec![second, Link::new(id("c"), "t")];
    s.enqueue(vec![job("a").then(then.clone())]).await;
    assert_eq!(s.job("a").await.unwrap().then, then);
    assert_eq!(s.job("b").await, None, "what follows does not exist until then");

    end(s, "a", complete("\u{0}reply of a", HOUR)).await;
    assert_eq!(s.state("a").await, Some(State::Succeeded));
    let view = s.job("b").await.unwrap();
    assert_eq!((view.key.as_deref(), view.then, view.batch), (Some("é\"\\"), then[1..].to_vec(), None));
    let lease = start(s, "b").await;
    assert_eq!((lease.job.task.as_str(), lease.job.payload.as_slice()), ("u", "\u{0}reply of a".as_bytes()));
    assert_eq!(lease.job.options, options);
    s.settle(&lease, retry_in(Duration::ZERO)).await;
    assert_eq!(s.job("c").await, None, "it has not ended");
    // A result that is not kept is passed on as well.
    end(s, "b", complete("reply of b", Duration::ZERO)).await;
    assert_eq!(s.state("b").await, None);
    let lease = start(s, "c").await;
    assert_eq!(lease.job.payload, b"reply of b");
    s.settle(&lease, complete("", HOUR)).await;
    assert_eq!(s.lease(9).await, []);
}

pub(super) async fn a_chain_that_breaks_goes_no_further_until_it_is_retried(s: &Subject) {
    for (name, follower) in [("dead", "x"), ("cancelled", "y")] {
        s.enqueue(vec![job(name).then(links([follower]))]).await;
        end(s, name, if name == "dead" { Settlement::Bury } else { Settlement::Cancel }).await;
        assert_eq!((s.job(follower).await, s.lease(9).await), (None, vec![]));
        assert_eq!(s.job(name).await.unwrap().then, links([follower]), "what was to follow stays known");
        assert_eq!(s.broker.retry(&[id(name)]).await.unwrap(), [true]);
        end(s, name, complete("at last", HOUR)).await;
        let lease = start(s, follower).await;
        assert_eq!(lease.job.payload, b"at last");
        s.settle(&lease, complete("", HOUR)).await;
    }
    // A chain ends where the id of what is to follow is another job's by then.
    s.enqueue(vec![job("a").then(links(["b", "c"]))]).await;
    let lease = start(s, "a").await;
    s.enqueue(vec![job("b").run_at(START.after(HOUR))]).await;
    s.settle(&lease, complete("", HOUR)).await;
    assert_eq!(s.job("b").await.unwrap().then, []);
    assert_eq!(s.broker.payload(&id("b")).await.unwrap().unwrap(), b"payload of b");
}

pub(super) async fn a_chain_or_batch_that_cannot_be_is_refused_and_nothing_is_enqueued(s: &Subject) {
    let error = s.broker.enqueue(vec![job("x"), job("a").then(links(["b", "a"]))]).await.unwrap_err();
    invalid(error, "the job a comes after itself");
    let error = s.broker.enqueue_batch(&batch("b", members(["a", "a"]))).await.unwrap_err();
    invalid(error, "the job a stands twice in it");
    let error = s.broker.enqueue_batch(&batch("b", vec![Member::Job(job("a").queue("mail"))])).await.unwrap_err();
    invalid(error, "all of a batch is in one queue");
    assert_eq!((s.lease(9).await, s.broker.batches(9).await.unwrap()), (vec![], vec![]));
}

pub(super) async fn a_batch_calls_back_once_all_have_ended_in_whichever_way(s: &Subject) {
    let names = ["kept", "gone", "dead", "stopped", "cancelled", "late", "removed"];
    let mut whole = batch("b", members(names));
    if let Member::Job(late) = &mut whole.jobs[5] {
        late.run_at = Some(START.after(HOUR));
        late.expires_at = Some(START.after(HOUR / 2));
    }
    accept(s, &whole).await;
    assert_eq!(s.job("kept").await.unwrap().batch, Some(id("b")));
    for (name, settlement) in [
        ("kept", complete("", HOUR)),
        ("gone", complete("", Duration::ZERO)),
        ("dead", Settlement::Bury),
        ("stopped", Settlement::Retry { delay: Duration::ZERO }),
    ] {
        let lease = s.lease_one().await;
        assert_eq!(lease.job.id, id(name));
        if name == "stopped" {
            s.broker.cancel(&[id(name)]).await.unwrap();
        }
        s.settle(&lease, settlement.clone()).await;
        s.settle(&lease, settlement).await;
    }
    assert_eq!(counts(s, "b").await, [3, 2, 1, 1, 0, 0]);
    s.broker.cancel(&[id("cancelled")]).await.unwrap();
    s.broker.remove(&[id("removed"), id("dead")]).await.unwrap();
    assert_eq!(counts(s, "b").await, [1, 2, 1, 2, 0, 1]);
    assert_eq!(s.lease(9).await, []);
    s.advance(HOUR);
    s.promote().await;
    assert_eq!(counts(s, "b").await, [0, 2, 1, 2, 1, 1]);
    assert_eq!(shown(s, "b").await.state, BatchState::Open, "its callback has not ended");
    end(s, "done", complete("", HOUR)).await;
    let view = shown(s, "b").await;
    assert_eq!((view.state, view.finished_at), (BatchState::Finished, Some(START.after(HOUR))));
    assert_eq!(counts(s, "b").await, [0, 2, 1, 2, 1, 1], "a callback is no member");
}

pub(super) async fn a_callback_is_told_the_counts_and_what_it_was_given(s: &Subject) {
    let callback = NewJob { payload: "\"é\" %d\n\\".into(), ..job("done") };
    accept(s, &Batch { then: Some(callback), ..batch("b:1", members(["a", "z"])) }).await;
    s.broker.cancel(&[id("z")]).await.unwrap();
    end(s, "a", complete("", HOUR)).await;
    // Byte for byte, on every broker.
    assert_eq!(
        String::from_utf8(start(s, "done").await.job.payload).unwrap(),
        r#"{"batch":"b:1","total":2,"succeeded":1,"dead":0,"cancelled":1,"expired":0,"removed":0,"payload":"\"é\" %d\n\\"}"#
    );
    let callback = NewJob { payload: vec![0, 255], ..job("done2") }.then(links(["after"]));
    accept(s, &Batch { then: Some(callback), ..batch("c", members(["x"])) }).await;
    end(s, "x", Settlement::Bury).await;
    let lease = start(s, "done2").await;
    let told: Value = serde_json::from_slice(&lease.job.payload).unwrap();
    assert_eq!((&told["dead"], &told["payload_base64"]), (&json!(1), &json!("AP8=")));
    // A callback may be a chain: the batch is finished when that has ended.
    s.settle(&lease, complete("reply", HOUR)).await;
    assert_eq!(shown(s, "c").await.state, BatchState::Open);
    let lease = start(s, "after").await;
    assert_eq!(lease.job.payload, b"reply");
    s.settle(&lease, Settlement::Bury).await;
    assert_eq!(shown(s, "c").await.state, BatchState::Finished);
}

pub(super) async fn a_batch_is_there_once_and_whole_or_not_at_all(s: &Subject) {
    let whole = batch("b", members(["a", "z"]));
    accept(s, &whole).await;
    let again = s.broker.enqueue_batch(&batch("b", members(["other"]))).await.unwrap();
    assert!(!again.created && again.id == id("b"));
    assert_eq!((shown(s, "b").await.total, s.job("other").await), (2, None));

    let unique = |name| job(name).unique(Unique { key: "k".into(), scope: UniqueScope::Unfinished });
    let nested = Batch { then: None, ..batch("b", members(["n"])) };
    let to_come = Batch { then: None, ..batch("c", vec![Member::Job(job("new").then(links(["z"])))]) };
    for (wrong, reason) in [
        (batch("c", members(["new", "a"])), "there is a job a in the queue default already, so nothing was enqueued"),
        (to_come, "there is a job z in the queue default already"),
        (
            Batch { then: None, ..batch("c", vec![Member::Job(job("new")), Member::Batch(nested)]) },
            "there is a batch b in the queue default already",
        ),
        (
            batch("c", vec![Member::Job(unique("u1")), Member::Job(unique("u2"))]),
            "the job u1 holds the unique key k, so nothing was enqueued",
        ),
    ] {
        invalid(s.broker.enqueue_batch(&wrong).await.unwrap_err(), reason);
    }
    assert_eq!(s.broker.batch(&id("c")).await.unwrap(), None);
    assert_eq!(names(&s.lease(9).await), ["a", "z"]);
    assert!(s.enqueue(vec![unique("u")]).await[0].created, "the key was not taken");
}

pub(super) async fn a_chain_is_one_member_and_ends_with_its_last_job_or_the_first_that_fails(s: &Subject) {
    let chains = ["a", "x"].map(|name| Member::Job(job(name).then(links([&format!("{name}2"), &format!("{name}3")]))));
    accept(s, &batch("b", chains.to_vec())).await;
    assert_eq!(shown(s, "b").await.total, 2);
    for lease in s.lease(9).await {
        s.settle(&lease, complete("", HOUR)).await;
    }
    assert_eq!(counts(s, "b").await, [2, 0, 0, 0, 0, 0]);
    let seconds = s.lease(9).await;
    assert_eq!(names(&seconds), ["a2", "x2"]);
    s.settle(&seconds[0], complete("", HOUR)).await;
    s.settle(&seconds[1], Settlement::Bury).await;
    assert_eq!(counts(s, "b").await, [1, 0, 1, 0, 0, 0]);
    assert_eq!(s.job("a3").await.unwrap().batch, Some(id("b")));
    end(s, "a3", complete("", HOUR)).await;
    assert_eq!(counts(s, "b").await, [0, 1, 1, 0, 0, 0]);
    let listed = [
        ("a", State::Succeeded),
        ("x", State::Succeeded),
        ("a2", State::Succeeded),
        ("x2", State::Dead),
        ("a3", State::Succeeded),
        ("done", State::Queued),
    ];
    assert_eq!(jobs(s, "b").await, listed.map(|(name, state)| (name.to_owned(), state)));
}

pub(super) async fn a_nested_batch_is_one_member_of_its_parent(s: &Subject) {
    let fine = Batch { then: Some(job("fine:done")), ..batch("fine", members(["a"])) };
    let bad = Batch { then: None, ..batch("bad", members(["x", "y"])) };
    accept(s, &batch("b", vec![Member::Batch(fine), Member::Job(job("m")), Member::Batch(bad)])).await;
    let view = shown(s, "b").await;
    assert_eq!((view.total, view.batches), (3, vec![id("fine"), id("bad")]));
    assert_eq!(shown(s, "bad").await.parent, Some(id("b")));
    let leases = s.lease(9).await;
    assert_eq!(names(&leases), ["a", "m", "x", "y"]);
    for (lease, settlement) in
        leases.iter().zip([complete("", HOUR), complete("", HOUR), complete("", HOUR), Settlement::Bury])
    {
        s.settle(lease, settlement).await;
    }
    assert_eq!(counts(s, "b").await, [1, 1, 1, 0, 0, 0], "one waits for its callback, one did not succeed");
    assert_eq!(shown(s, "bad").await.state, BatchState::Finished);
    end(s, "fine:done", complete("", HOUR)).await;
    assert_eq!(counts(s, "b").await, [0, 2, 1, 0, 0, 0]);
    let told: Value = serde_json::from_slice(&start(s, "done").await.job.payload).unwrap();
    assert_eq!((&told["total"], &told["succeeded"], &told["dead"]), (&json!(3), &json!(2), &json!(1)));
}

pub(super) async fn a_batch_waits_again_for_a_member_that_is_retried_while_it_is_open(s: &Subject) {
    accept(s, &batch("b", members(["a", "z"]))).await;
    let leases = s.lease(9).await;
    s.settle(&leases[0], Settlement::Bury).await;
    s.broker.retry(&[id("a")]).await.unwrap();
    assert_eq!(counts(s, "b").await, [2, 0, 0, 0, 0, 0]);
    s.settle(&leases[1], complete("", HOUR)).await;
    end(s, "a", Settlement::Bury).await;
    assert_eq!(counts(s, "b").await, [0, 1, 1, 0, 0, 0]);
    // The callback has its counts: from now on a member goes on by itself.
    s.broker.retry(&[id("a")]).await.unwrap();
    assert_eq!((counts(s, "b").await, s.job("a").await.unwrap().batch), ([0, 1, 1, 0, 0, 0], None));
    let leases = s.lease(9).await;
    assert_eq!(names(&leases), ["done", "a"]);
    s.settle(&leases[1], complete("", HOUR)).await;
    s.settle(&leases[0], Settlement::Bury).await;
    assert_eq!(shown(s, "b").await.state, BatchState::Finished);
    assert_eq!(counts(s, "b").await, [0, 1, 1, 0, 0, 0]);
    assert!(jobs(s, "b").await.contains(&("done".into(), State::Dead)));
}

pub(super) async fn a_cancelled_batch_enqueues_nothing_more(s: &Subject) {
    let inner = Batch { then: Some(job("inner:done")), ..batch("inner", members(["i"])) };
    let later = job("later").run_at(START.after(HOUR));
    let chain = job("a").then(links(["a2"]));
    accept(s, &batch("b", vec![Member::Job(chain), Member::Batch(inner), Member::Job(later), Member::Job(job("q"))]))
        .await;
    let lease = s.lease_one().await;
    let cancelled = s.broker.cancel_batch(&id("b")).await.unwrap();
    assert_eq!(cancelled, Some(BatchCancelled { cancelled: 3, asked: 1 }));
    assert!(s.job("a").await.unwrap().cancelling);
    let view = shown(s, "b").await;
    assert_eq!((view.state, view.finished_at), (BatchState::Cancelled, None), "one of its jobs still runs");
    assert_eq!(shown(s, "inner").await.state, BatchState::Cancelled);
    assert_eq!(counts(s, "b").await, [1, 0, 0, 3, 0, 0]);
    // It was faster than the request.
    s.settle(&lease, complete("", HOUR)).await;
    assert_eq!(counts(s, "b").await, [0, 0, 0, 4, 0, 0], "a chain that was cut has not succeeded");
    assert!(shown(s, "b").await.finished_at.is_some());
    assert_eq!(s.lease(9).await, []);
    for name in ["b", "nobody"] {
        assert_eq!(s.broker.cancel_batch(&id(name)).await.unwrap(), None);
    }
    // Whoever retries one by hand wants it to run.
    s.broker.retry(&[id("q")]).await.unwrap();
    end(s, "q", complete("", HOUR)).await;
    assert_eq!(counts(s, "b").await, [0, 0, 0, 4, 0, 0]);
}

pub(super) async fn a_purge_takes_batches_and_callbacks_along(s: &Subject) {
    let inner = Batch { then: None, ..batch("inner", members(["i"])) };
    let later = job("later").run_at(START.after(HOUR));
    accept(s, &batch("b", vec![Member::Job(job("a")), Member::Batch(inner), Member::Job(later)])).await;
    s.enqueue(vec![job("alone")]).await;
    assert_eq!(s.broker.purge("default").await.unwrap(), 5, "with the callback");
    assert_eq!(counts(s, "b").await, [0, 0, 1, 0, 0, 2]);
    assert_eq!(counts(s, "inner").await, [0, 0, 0, 0, 0, 1]);
    assert_eq!(shown(s, "b").await.state, BatchState::Finished);
    assert_eq!((s.lease(9).await, s.promote().await), (vec![], 0));
}

pub(super) async fn a_batch_is_kept_for_a_day_and_batches_are_listed_newest_first(s: &Subject) {
    let without = |name, member| Batch { then: None, ..batch(name, members([member])) };
    accept(s, &without("old", "a")).await;
    s.advance(HOUR);
    let nested = Batch { then: None, ..batch("outer", vec![Member::Batch(without("inner", "i"))]) };
    accept(s, &nested).await;
    let listed = async |limit| -> Vec<String> {
        s.broker.batches(limit).await.unwrap().into_iter().map(|batch| batch.id.to_string()).collect()
    };
    assert_eq!(listed(9).await, ["outer", "old"]);
    assert_eq!(listed(1).await, ["outer"]);
    let lease = s.lease_one().await;
    s.settle(&lease, complete("", DAY * 9)).await;
    assert_eq!(shown(s, "old").await.finished_at, Some(START.after(HOUR)), "without a callback at once");
    s.advance(DAY - Duration::from_micros(1));
    s.promote().await;
    assert_eq!(listed(9).await, ["outer", "old"]);
    s.advance(Duration::from_micros(1));
    s.promote().await;
    assert_eq!(listed(9).await, ["outer"], "an open one stays");
    assert_eq!(s.broker.batch(&id("old")).await.unwrap(), None);
    assert_eq!(s.broker.batch_jobs(&id("old")).await.unwrap(), []);
    assert_eq!(s.state("a").await, Some(State::Succeeded), "its jobs go in their own time");
}

pub(super) async fn ten_thousand_members_are_accepted_and_cancelled(s: &Subject) {
    let jobs: Vec<_> = (0..10_000).map(|n| Member::Job(job(&format!("j{n}")))).collect();
    accept(s, &batch("b", jobs)).await;
    assert_eq!((shown(s, "b").await.pending, s.counts().await.queued), (10_000, 10_000));
    let cancelled = s.broker.cancel_batch(&id("b")).await.unwrap();
    assert_eq!(cancelled, Some(BatchCancelled { cancelled: 10_000, asked: 0 }));
    assert_eq!(counts(s, "b").await, [0, 0, 0, 10_000, 0, 0]);
}
