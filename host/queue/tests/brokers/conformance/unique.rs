//! Unique jobs: one holds the key, the others are told its id.

use std::time::Duration;

use afresh_queue::{BrokerError, Enqueued, NewJob, Settlement, State, Unique, UniqueScope};

use crate::subject::{LEASE, START, Subject, complete, id, job, names, retry_in};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn unique(name: &str, scope: UniqueScope) -> NewJob {
    job(name).unique(Unique { key: "order/7".into(), scope })
}

/// Enqueues it; answers the id it came to, and whether it was created.
async fn enqueue(s: &Subject, job: NewJob) -> (String, bool) {
    let Enqueued { id, created } = s.enqueue(vec![job]).await.remove(0);
    (id.to_string(), created)
}

fn new(name: &str) -> (String, bool) {
    (name.to_owned(), true)
}

fn there(name: &str) -> (String, bool) {
    (name.to_owned(), false)
}

pub(super) async fn while_it_waits(s: &Subject) {
    let at_most_one = |name| unique(name, UniqueScope::Queued);
    assert_eq!(enqueue(s, at_most_one("a").run_at(START.after(SECOND))).await, new("a"));
    assert_eq!(enqueue(s, at_most_one("b")).await, there("a"), "one that is scheduled waits too");
    assert_eq!(s.state("b").await, None);
    s.advance(SECOND);
    s.promote().await;
    assert_eq!(enqueue(s, at_most_one("b")).await, there("a"));
    let lease = s.lease_one().await;
    assert_eq!(enqueue(s, at_most_one("b")).await, new("b"), "it has started");
    s.settle(&lease, retry_in(Duration::ZERO)).await;
    assert_eq!(enqueue(s, at_most_one("c")).await, there("b"), "a retry takes no key from its new holder");
    assert_eq!(names(&s.lease(9).await), ["b", "a"]);
    assert_eq!(enqueue(s, at_most_one("c")).await, new("c"));
}

pub(super) async fn until_it_has_ended_in_whichever_way(s: &Subject) {
    let only = |name: String| unique(&name, UniqueScope::Unfinished);
    for (n, end) in
        [complete("", HOUR), complete("", Duration::ZERO), Settlement::Bury, Settlement::Cancel].into_iter().enumerate()
    {
        let name = format!("job-{n}");
        assert_eq!(enqueue(s, only(name.clone())).await, new(&name));
        let lease = s.lease_one().await;
        assert_eq!(enqueue(s, only("late".into())).await, there(&name), "it runs");
        s.settle(&lease, retry_in(Duration::ZERO)).await;
        assert_eq!(enqueue(s, only("late".into())).await, there(&name), "it will run again");
        let lease = s.lease_one().await;
        s.settle(&lease, end).await;
    }
    for end in ["cancel", "remove", "purge", "expire"] {
        assert_eq!(enqueue(s, only(end.into()).expires_at(START.after(SECOND))).await, new(end));
        assert_eq!(enqueue(s, only("late".into())).await, there(end));
        match end {
            "cancel" => drop(s.broker.cancel(&[id(end)]).await.unwrap()),
            "remove" => drop(s.broker.remove(&[id(end)]).await.unwrap()),
            "purge" => assert_eq!(s.broker.purge("default").await.unwrap(), 1),
            _ => {
                s.advance(SECOND);
                s.promote().await;
                assert_eq!(s.state(end).await, Some(State::Expired));
            }
        }
    }
    assert_eq!(enqueue(s, only("last".into())).await, new("last"));
}

pub(super) async fn for_a_time_whatever_becomes_of_it(s: &Subject) {
    let seldom = |name| unique(name, UniqueScope::For(HOUR));
    assert_eq!(enqueue(s, seldom("a")).await, new("a"));
    let lease = s.lease_one().await;
    s.settle(&lease, complete("", Duration::ZERO)).await;
    s.advance(HOUR - Duration::from_micros(1));
    s.promote().await;
    assert_eq!(enqueue(s, seldom("b")).await, there("a"));
    s.advance(Duration::from_micros(1));
    assert_eq!(enqueue(s, seldom("b")).await, new("b"), "whether or not anybody has promoted");
    s.promote().await;
    assert_eq!(enqueue(s, seldom("c")).await, there("b"));
    s.broker.remove(&[id("b")]).await.unwrap();
    assert_eq!(enqueue(s, seldom("c")).await, new("c"), "who removes it by hand wants it gone");
}

pub(super) async fn keys_of_other_queues_and_other_keys_do_not_matter(s: &Subject) {
    let all = vec![
        unique("a", UniqueScope::Unfinished),
        unique("b", UniqueScope::Unfinished).queue("other"),
        job("c").unique(Unique { key: "order/8".into(), scope: UniqueScope::Unfinished }),
        job("d").key("order/7"),
        unique("e", UniqueScope::Queued),
    ];
    let created: Vec<_> = s.enqueue(all).await.into_iter().map(|job| (job.id.to_string(), job.created)).collect();
    assert_eq!(created, [new("a"), new("b"), new("c"), new("d"), there("a")], "within one call as well");
    assert_eq!(s.job("a").await.unwrap().unique_key.as_deref(), Some("order/7"));
}

pub(super) async fn a_retry_by_hand_takes_its_key_back_if_it_is_free(s: &Subject) {
    let only = |name| unique(name, UniqueScope::Unfinished);
    enqueue(s, only("a")).await;
    let lease = s.lease_one().await;
    s.settle(&lease, Settlement::Bury).await;
    s.broker.retry(&[id("a")]).await.unwrap();
    assert_eq!(enqueue(s, only("b")).await, there("a"));
    let lease = s.lease_one().await;
    s.settle(&lease, Settlement::Bury).await;
    assert_eq!(enqueue(s, only("b")).await, new("b"));
    assert_eq!(s.broker.retry(&[id("a")]).await.unwrap(), [true], "a person may run it beside the new one");
    assert_eq!(enqueue(s, only("c")).await, there("b"));
    s.advance(LEASE);
}

pub(super) async fn a_key_that_cannot_be_is_refused(s: &Subject) {
    for (key, scope, reason) in [
        ("", UniqueScope::Queued, "is not a key"),
        ("a b", UniqueScope::Unfinished, "is not a key"),
        ("a", UniqueScope::For(Duration::ZERO), "from 1 ms to a year"),
        ("a", UniqueScope::For(HOUR * 24 * 366), "from 1 ms to a year"),
    ] {
        let wrong = job("wrong").unique(Unique { key: key.into(), scope });
        let error = s.broker.enqueue(vec![job("fine"), wrong]).await.unwrap_err();
        assert!(matches!(&error, BrokerError::Invalid(said) if said.contains(reason)), "{error:?}");
    }
    let error = s.broker.enqueue(vec![job("wrong").key("x".repeat(129))]).await.unwrap_err();
    assert!(error.to_string().contains("job wrong: its key: "), "{error}");
    assert_eq!(s.state("fine").await, None);
}
