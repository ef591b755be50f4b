//! How an idle worker is woken: at once, and never by asking again and again.

use std::time::Duration;

use afresh_harness::RedisServer;
use afresh_queue::{Broker, Inspect, NewJob, Retention, Settlement, Timestamp};
use tokio::time::{Instant, timeout};

use crate::outages::persist;
use crate::{broker, request, settle};

/// Far longer than any wake-up takes, so that a wait which ran out is told from one that was woken.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn mail() -> Vec<String> {
    vec!["mail".to_owned()]
}

/// Waits until `idle` would sleep: the first waits return early, since a new listener may have missed something.
pub(crate) async fn settle_down(idle: &impl Broker) {
    let mut rounds = 0;
    while timeout(Duration::from_millis(100), idle.wait(&mail(), LONG)).await.is_ok() {
        rounds += 1;
        assert!(rounds < 10, "an idle worker does not come to rest");
        assert!(persist(async || idle.lease(&request("mail", 1)).await).await.is_empty());
    }
}

#[tokio::test]
async fn a_waiting_worker_is_woken_by_whatever_makes_a_job_ready() {
    let server = RedisServer::start();
    let (idle, other) = (broker(&server), broker(&server));
    settle_down(&idle).await;
    let mut jobs = Vec::new();

    for what in ["enqueue", "retry at once", "release", "retry by hand", "promote", "schedule"] {
        let started = Instant::now();
        let act = async {
            match what {
                "enqueue" => drop(other.enqueue(vec![NewJob::new("t", "").queue("mail")]).await.unwrap()),
                "schedule" => {
                    let at = Timestamp::now().after(LONG);
                    other.enqueue(vec![NewJob::new("t", "").queue("mail").run_at(at)]).await.unwrap();
                }
                "retry at once" | "release" => {
                    let lease = jobs.pop().expect("the job of the round before");
                    let delay = Duration::ZERO;
                    let verb = if what == "release" { Settlement::Release } else { Settlement::Retry { delay } };
                    other.settle(&[settle(&lease, verb)]).await.unwrap();
                }
                "retry by hand" => {
                    let lease = jobs.pop().expect("the job of the round before");
                    other.settle(&[settle(&lease, Settlement::Bury)]).await.unwrap();
                    assert_eq!(other.retry(&[lease.job.id]).await.unwrap(), [true]);
                }
                _ => {
                    let lease = jobs.pop().expect("the job of the round before");
                    let delay = Duration::from_millis(50);
                    other.settle(&[settle(&lease, Settlement::Retry { delay })]).await.unwrap();
                    while other.promote(&mail(), &Retention::default()).await.unwrap().moved == 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            }
        };
        let queues = mail();
        tokio::join!(idle.wait(&queues, LONG), act);
        assert!(started.elapsed() < LONG / 2, "nobody was woken by: {what}");
        jobs.extend(other.lease(&request("mail", 10)).await.unwrap());
        settle_down(&idle).await;
    }
}

#[tokio::test]
async fn a_message_between_the_lease_and_the_wait_is_not_lost() {
    let server = RedisServer::start();
    let (idle, other) = (broker(&server), broker(&server));
    settle_down(&idle).await;
    assert!(persist(async || idle.lease(&request("mail", 1)).await).await.is_empty());
    other.enqueue(vec![NewJob::new("t", "").queue("mail")]).await.unwrap();
    // Something on the same connection, so that the message was read before the wait begins.
    idle.check().await.unwrap();
    timeout(LONG / 2, idle.wait(&mail(), LONG)).await.expect("the wait returns at once");
}

#[tokio::test]
async fn a_worker_is_not_woken_for_a_job_it_has_already_taken() {
    let server = RedisServer::start();
    let (idle, other) = (broker(&server), broker(&server));
    settle_down(&idle).await;
    other.enqueue(vec![NewJob::new("t", "").queue("mail")]).await.unwrap();
    // Something on the same connection, so that the message was read before the lease begins.
    idle.check().await.unwrap();
    assert_eq!(idle.lease(&request("mail", 2)).await.unwrap().len(), 1);
    assert!(timeout(Duration::from_millis(100), idle.wait(&mail(), LONG)).await.is_err());
}

#[tokio::test]
async fn an_idle_worker_asks_the_server_nothing() {
    let server = RedisServer::start();
    let idle = broker(&server);
    settle_down(&idle).await;
    let commands = || {
        let stats = server.command("INFO stats");
        let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.expect("Redis counts its commands").trim().parse::<u64>().unwrap()
    };
    let before = commands();
    idle.wait(&mail(), Duration::from_millis(300)).await;
    // One is the second count itself.
    assert!(commands() - before <= 2);
}

#[tokio::test]
async fn a_connection_that_is_left_is_told_to_those_who_listen() {
    let server = RedisServer::start();
    let broker = broker(&server);
    assert_eq!(broker.cancellations().await, [], "what was asked before may have been missed");
    server.pause();
    let told = async { tokio::join!(broker.cancellations(), broker.check()) };
    let (missed, error) = timeout(LONG / 2, told).await.expect("requests may be missed from now on");
    assert_eq!(missed, []);
    assert!(error.unwrap_err().is_transient());
    server.resume();
}

#[tokio::test]
async fn a_broken_connection_wakes_a_waiting_worker_which_then_hears_again() {
    let server = RedisServer::start();
    let (idle, other) = (broker(&server), broker(&server));
    settle_down(&idle).await;
    let queues = mail();
    let kill = async { server.command("CLIENT KILL TYPE pubsub") };
    timeout(LONG / 2, async { tokio::join!(idle.wait(&queues, LONG), kill) }).await.expect("it is woken");
    settle_down(&idle).await;
    let enqueue = async { other.enqueue(vec![NewJob::new("t", "").queue("mail")]).await.unwrap() };
    timeout(LONG / 2, async { tokio::join!(idle.wait(&queues, LONG), enqueue) }).await.expect("it hears again");
}
