//! What holds jobs back: concurrency, rates, pauses. A held job is in nobody's way, and starts as soon as it may.

use std::time::{Duration, Instant};

use afresh_queue::{BrokerError, Lease, Limit, NewJob, QueueRules, Rate, Rule, Scope, Settlement, State};

use crate::subject::{LEASE, Subject, complete, id, job, jobs, names, request, retry_in};

const SECOND: Duration = Duration::from_secs(1);

fn at_once(most: u32) -> Limit {
    Limit { concurrency: Some(most), rate: None }
}

fn a_second(burst: u32) -> Limit {
    Limit { concurrency: None, rate: Some(Rate { every: SECOND, burst }) }
}

fn key(name: &str) -> Scope {
    Scope::Key(name.into())
}

fn task(name: &str) -> Scope {
    Scope::Task(name.into())
}

/// A job of a task for a key, in the default queue.
fn of(task: &str, key: &str, name: &str) -> NewJob {
    let job = NewJob::new(task, "").id(id(name));
    if key.is_empty() { job } else { job.key(key) }
}

async fn limit(s: &Subject, scope: Scope, limit: Limit) {
    s.broker.set_limit("default", &scope, &limit).await.unwrap();
    // What is held may be looked at again now; a worker is woken for that.
    s.promote().await;
}

async fn done(s: &Subject, lease: &Lease) {
    s.settle(lease, complete("", Duration::ZERO)).await;
}

async fn held(s: &Subject) -> (u64, u64) {
    let counts = s.counts().await;
    (counts.queued, counts.held)
}

pub(super) async fn no_more_jobs_run_under_a_limit_than_it_says(s: &Subject) {
    for scope in [task("t"), key("k")] {
        limit(s, scope.clone(), at_once(2)).await;
        s.enqueue(["a", "b", "c", "d", "e"].map(|name| of("t", "k", name)).into()).await;
        let first = s.lease(9).await;
        assert_eq!(names(&first), ["a", "b"], "{scope}");
        assert_eq!(held(s).await, (3, 3));
        let shown = s.job("c").await.unwrap();
        assert_eq!((shown.state, shown.held_by), (State::Queued, Some(scope.to_string())));
        assert_eq!(s.lease(9).await, []);
        done(s, &first[1]).await;
        let next = s.lease(9).await;
        assert_eq!(names(&next), ["c"], "each end lets one start, the first of those that wait");
        assert_eq!(s.job("c").await.unwrap().held_by, None);
        for lease in first[..1].iter().chain(&next) {
            done(s, lease).await;
        }
        let last = s.lease(9).await;
        assert_eq!(names(&last), ["d", "e"]);
        assert_eq!(held(s).await, (0, 0));
        for lease in &last {
            done(s, lease).await;
        }
        limit(s, scope, Limit::default()).await;
    }
}

pub(super) async fn held_jobs_are_in_nobodys_way(s: &Subject) {
    limit(s, task("slow"), at_once(1)).await;
    s.enqueue((0..40).map(|n| of("slow", "", &format!("slow-{n}"))).collect()).await;
    s.enqueue(jobs(["quick-1", "quick-2"])).await;
    assert_eq!(names(&s.lease(2).await), ["slow-0", "quick-1"]);
    assert_eq!(names(&s.lease(2).await), ["quick-2"]);
    assert_eq!(held(s).await, (39, 39));
}

pub(super) async fn each_key_has_a_limit_of_its_own(s: &Subject) {
    limit(s, Scope::EachKey, at_once(1)).await;
    limit(s, key("large"), at_once(2)).await;
    let all =
        [("a", "1"), ("a", "2"), ("large", "3"), ("large", "4"), ("large", "5"), ("b", "6"), ("", "7"), ("", "8")];
    s.enqueue(all.map(|(key, name)| of("t", key, name)).into()).await;
    let first = s.lease(99).await;
    assert_eq!(names(&first), ["1", "3", "4", "6", "7", "8"]);
    assert_eq!(s.job("2").await.unwrap().held_by.as_deref(), Some("key:a"));
    done(s, &first[0]).await;
    done(s, &first[3]).await;
    assert_eq!(names(&s.lease(99).await), ["2"], "the end of one key's job is nothing to another");
}

pub(super) async fn a_job_under_two_limits_starts_when_both_let_it_and_holds_nobody_up(s: &Subject) {
    limit(s, task("a"), at_once(1)).await;
    limit(s, key("k"), at_once(1)).await;
    // The first runs; the second waits for the task, the third for the key.
    s.enqueue(vec![of("a", "k", "1"), of("a", "other", "2"), of("b", "k", "3"), of("b", "k", "4")]).await;
    let one = s.lease(9).await;
    assert_eq!(names(&one), ["1"]);
    s.broker.set_paused("default", &task("b"), true).await.unwrap();
    done(s, &one[0]).await;
    assert_eq!(names(&s.lease(9).await), ["2"], "3 was let back by the key, and is held by its task now");
    assert_eq!(s.job("3").await.unwrap().held_by.as_deref(), Some("task:b"));
    assert_eq!(s.job("4").await.unwrap().held_by.as_deref(), Some("task:b"), "its turn was passed on to it");
    s.broker.set_paused("default", &task("b"), false).await.unwrap();
    s.promote().await;
    assert_eq!(names(&s.lease(9).await), ["3"]);
    assert_eq!(s.job("4").await.unwrap().held_by.as_deref(), Some("key:k"));
}

pub(super) async fn held_jobs_start_in_their_order_and_by_priority(s: &Subject) {
    limit(s, task("t"), at_once(1)).await;
    s.enqueue(jobs(["first", "a", "b"])).await;
    let mut running = s.lease_one().await;
    assert_eq!(s.lease(9).await, []);
    let mut urgent = job("urgent");
    urgent.options.priority = 5;
    s.enqueue(vec![urgent]).await;
    assert_eq!(s.lease(9).await, []);
    for name in ["urgent", "a", "b"] {
        done(s, &running).await;
        running = s.lease_one().await;
        assert_eq!(running.job.id, id(name));
    }
}

pub(super) async fn jobs_that_ran_already_count(s: &Subject) {
    s.enqueue(jobs(["a", "b", "c", "d"])).await;
    let running = s.lease(2).await;
    limit(s, task("t"), at_once(2)).await;
    assert_eq!(s.lease(9).await, []);
    assert_eq!(s.broker.rules().await.unwrap()[0].rules[0].running, 2);
    done(s, &running[0]).await;
    let c = s.lease_one().await;
    assert_eq!(s.lease(9).await, []);
    limit(s, task("t"), at_once(3)).await;
    assert_eq!(names(&s.lease(9).await), ["d"], "a wider limit lets them start at once");
    limit(s, task("t"), Limit::default()).await;
    done(s, &c).await;
    assert_eq!(s.broker.rules().await.unwrap(), []);
}

pub(super) async fn a_job_that_comes_back_or_is_lost_gives_its_room_back(s: &Subject) {
    limit(s, task("t"), at_once(1)).await;
    s.enqueue(jobs(["a", "b"])).await;
    for settlement in [retry_in(LEASE * 99), Settlement::Bury, Settlement::Cancel] {
        let lease = s.lease_one().await;
        assert_eq!(s.lease(9).await, []);
        s.settle(&lease, settlement).await;
        s.enqueue(jobs(["c", "d"])).await;
    }
    let lost = s.lease_one().await;
    s.advance(LEASE);
    assert_eq!(s.lease(9).await, [], "an expired lease still counts: nobody knows whether its attempt goes on");
    let taken = s.reap(9).await.remove(0);
    assert_eq!((taken.job.id.clone(), s.lease(9).await), (lost.job.id, vec![]));
    s.settle(&taken, Settlement::Release).await;
    assert_eq!(s.lease(9).await.len(), 1);
}

pub(super) async fn what_is_cancelled_removed_or_expires_while_it_could_start_lets_the_next_one(s: &Subject) {
    limit(s, task("t"), at_once(1)).await;
    s.enqueue(jobs(["running", "cancelled", "removed"])).await;
    let expiring = s.clock.fixed().unwrap().after(SECOND);
    s.enqueue(vec![job("expired").expires_at(expiring), job("last")]).await;
    let running = s.lease_one().await;
    assert_eq!((s.lease(9).await, held(s).await), (vec![], (4, 4)));
    done(s, &running).await;
    s.broker.cancel(&[id("cancelled")]).await.unwrap();
    s.broker.remove(&[id("removed")]).await.unwrap();
    s.advance(SECOND);
    assert_eq!(names(&s.lease(9).await), ["last"]);
    assert_eq!(held(s).await, (0, 0));
}

pub(super) async fn held_jobs_are_cancelled_removed_and_purged_like_others(s: &Subject) {
    limit(s, task("t"), at_once(1)).await;
    s.enqueue(jobs(["running", "a", "b", "c", "d"])).await;
    let running = s.lease_one().await;
    assert_eq!(s.lease(9).await, []);
    s.broker.cancel(&[id("a")]).await.unwrap();
    assert!(s.broker.remove(&[id("b")]).await.unwrap()[0]);
    assert_eq!((s.state("a").await, s.state("b").await), (Some(State::Cancelled), None));
    assert_eq!(held(s).await, (2, 2));
    assert_eq!(s.broker.purge("default").await.unwrap(), 2);
    assert_eq!(held(s).await, (0, 0));
    done(s, &running).await;
    assert_eq!(s.lease(9).await, []);
}

pub(super) async fn a_rate_lets_jobs_start_as_its_bucket_fills(s: &Subject) {
    for scope in [task("t"), key("k"), Scope::Queue] {
        limit(s, scope.clone(), a_second(3)).await;
        s.enqueue((0..8).map(|n| of("t", "k", &n.to_string())).collect()).await;
        assert_eq!(names(&s.lease(9).await), ["0", "1", "2"], "{scope}: the bucket is full at first");
        assert_eq!(s.due().await.filter(|next| *next <= SECOND), Some(SECOND), "{scope}");
        s.advance(SECOND - Duration::from_micros(1));
        s.promote().await;
        assert_eq!(s.lease(9).await, [], "{scope}");
        s.advance(Duration::from_micros(1));
        s.promote().await;
        assert_eq!(names(&s.lease(9).await), ["3"], "{scope}");
        s.advance(SECOND * 5 / 2);
        s.promote().await;
        assert_eq!(names(&s.lease(9).await), ["4", "5"], "{scope}: two and a half have come");
        assert_eq!(s.due().await, Some(SECOND / 2), "{scope}");
        s.advance(SECOND * 99);
        s.promote().await;
        assert_eq!(names(&s.lease(9).await), ["6", "7"], "{scope}: no more than the bucket holds");
        limit(s, scope, Limit::default()).await;
        for n in 0..8 {
            let _ = s.reap(99).await;
            s.advance(LEASE);
            for lost in s.reap(99).await {
                done(s, &lost).await;
            }
            assert_eq!(s.state(&n.to_string()).await, None);
        }
    }
}

pub(super) async fn a_rate_that_is_raised_holds_at_once(s: &Subject) {
    let slow = Limit { concurrency: None, rate: Some(Rate { every: SECOND * 3600, burst: 10 }) };
    let quick = Limit { concurrency: None, rate: Some(Rate { every: SECOND / 100, burst: 100 }) };
    for scope in [task("t"), Scope::EachKey, Scope::Queue] {
        limit(s, scope.clone(), slow).await;
        s.enqueue((0..20).map(|n| of("t", "k", &n.to_string())).collect()).await;
        let first = s.lease(99).await;
        assert_eq!((first.len(), s.lease(99).await), (10, vec![]), "{scope}");
        limit(s, scope.clone(), quick).await;
        s.advance(SECOND / 10);
        s.promote().await;
        let more = s.lease(99).await;
        assert_eq!(more.len(), 10, "{scope}: the hours that the slower one asked for are forgotten");
        for lease in first.iter().chain(&more) {
            done(s, lease).await;
        }
        limit(s, scope, Limit::default()).await;
    }
}

pub(super) async fn a_queue_has_a_limit_too(s: &Subject) {
    limit(s, Scope::Queue, at_once(2)).await;
    s.enqueue(jobs(["a", "b", "c"])).await;
    s.enqueue(vec![job("elsewhere").queue("other")]).await;
    let first = s.lease(9).await;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!((s.lease(9).await, held(s).await), (vec![], (1, 0)));
    assert_eq!(names(&s.broker.lease(&request("other", 9)).await.unwrap()), ["elsewhere"]);
    done(s, &first[0]).await;
    assert_eq!(names(&s.lease(9).await), ["c"]);
}

pub(super) async fn a_paused_queue_starts_nothing_until_it_is_resumed(s: &Subject) {
    s.enqueue(jobs(["a", "b"])).await;
    let a = s.lease_one().await;
    assert!(s.broker.set_paused("default", &Scope::Queue, true).await.unwrap());
    assert!(!s.broker.set_paused("default", &Scope::Queue, true).await.unwrap(), "it is already");
    assert_eq!(s.lease(9).await, []);
    done(s, &a).await;
    assert_eq!(s.state("b").await, Some(State::Queued));
    let rule = Rule { scope: Scope::Queue, limit: Limit::default(), paused: true, running: 0, held: 0 };
    let rules = QueueRules { queue: "default".into(), fair: false, rules: vec![rule], newer: 0 };
    assert_eq!(s.broker.rules().await.unwrap(), [rules]);
    assert!(s.broker.set_paused("default", &Scope::Queue, false).await.unwrap());
    assert_eq!(names(&s.lease(9).await), ["b"]);
    assert_eq!(s.broker.rules().await.unwrap(), []);
}

pub(super) async fn a_paused_task_waits_and_the_others_go_on(s: &Subject) {
    s.broker.set_paused("default", &task("t"), true).await.unwrap();
    s.enqueue(vec![of("t", "", "a"), of("u", "", "b"), of("t", "", "c"), of("u", "", "d")]).await;
    assert_eq!(names(&s.lease(9).await), ["b", "d"]);
    assert_eq!(held(s).await, (2, 2));
    s.broker.set_paused("default", &task("t"), false).await.unwrap();
    s.promote().await;
    assert_eq!(names(&s.lease(9).await), ["a", "c"]);
}

pub(super) async fn a_wait_ends_when_a_held_job_may_start(s: &Subject) {
    limit(s, task("t"), at_once(1)).await;
    s.enqueue(jobs(["a", "b", "c", "d"])).await;
    let mut running = s.lease_one().await;
    s.broker.wait(&["default".into()], Duration::from_millis(50)).await;
    for change in ["end", "wider", "paused", "resumed"] {
        assert_eq!(s.lease(9).await, [], "before {change}");
        match change {
            "end" => done(s, &running).await,
            "wider" => s.broker.set_limit("default", &task("t"), &at_once(2)).await.unwrap(),
            "paused" => {
                s.broker.set_paused("default", &Scope::Queue, true).await.unwrap();
                continue;
            }
            _ => {
                s.broker.set_limit("default", &task("t"), &at_once(3)).await.unwrap();
                s.promote().await;
                assert_eq!(s.lease(9).await, []);
                assert!(s.broker.set_paused("default", &Scope::Queue, false).await.unwrap());
            }
        }
        let began = Instant::now();
        s.broker.wait(&["default".into()], SECOND * 60).await;
        assert!(began.elapsed() < SECOND * 15, "the wait for {change} took {:?}", began.elapsed());
        s.promote().await;
        running = s.lease_one().await;
    }
}

pub(super) async fn rules_are_shown_with_what_they_do(s: &Subject) {
    let both = Limit { concurrency: Some(1), rate: Some("10/s".parse().unwrap()) };
    limit(s, key("customer:42"), both).await;
    s.broker.set_paused("default", &task("t"), true).await.unwrap();
    s.broker.set_paused("default", &key("customer:42"), false).await.unwrap();
    s.enqueue(vec![of("u", "customer:42", "a"), of("u", "customer:42", "b"), of("t", "", "c"), of("t", "", "d")]).await;
    s.lease(9).await;
    s.broker.set_fair("another", true).await.unwrap();
    let rule = |scope, limit, paused, running, held| Rule { scope, limit, paused, running, held };
    let of_default = vec![rule(task("t"), Limit::default(), true, 0, 2), rule(key("customer:42"), both, false, 1, 1)];
    let expected = [
        QueueRules { queue: "another".into(), fair: true, rules: vec![], newer: 0 },
        QueueRules { queue: "default".into(), fair: false, rules: of_default, newer: 0 },
    ];
    assert_eq!(s.broker.rules().await.unwrap(), expected);
}

pub(super) async fn a_rule_that_cannot_be_is_refused_and_changes_nothing(s: &Subject) {
    let zero = Limit { concurrency: Some(0), rate: None };
    for (queue, scope, limit, reason) in [
        ("default", Scope::Queue, zero, "pause instead"),
        ("default", key("a b"), at_once(1), "is not a key"),
        ("default", task("../t"), at_once(1), "is not a name"),
        ("../q", Scope::Queue, at_once(1), "is not a name"),
    ] {
        let error = s.broker.set_limit(queue, &scope, &limit).await.unwrap_err();
        assert!(matches!(&error, BrokerError::Invalid(said) if said.contains(reason)), "{error:?}");
    }
    assert!(s.broker.set_paused("../q", &Scope::Queue, true).await.is_err());
    assert!(s.broker.set_fair("../q", true).await.is_err());
    assert_eq!(s.broker.rules().await.unwrap(), []);
}
