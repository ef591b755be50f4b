//! Servers that sentinels watch: the primary is found, and after a failover the new one.

use afresh_harness::{RedisServer, Sentinels};
use afresh_queue::redis::RedisBroker;
use afresh_queue::{Broker, BrokerError, Clock, Inspect, NewJob};
use tokio::time::timeout;

use crate::outages::persist;
use crate::waking::{LONG, mail, settle_down};
use crate::{complete, request};

fn at(url: &str) -> RedisBroker {
    RedisBroker::new(url, Clock::Broker).unwrap()
}

/// Runs jobs until so many have succeeded.
async fn work(broker: &RedisBroker, queue: &str, jobs: u64) {
    let mut leases = Vec::new();
    while persist(async || broker.queues().await).await[0].succeeded < jobs {
        leases.extend(persist(async || broker.lease(&request(queue, 16)).await).await);
        let settlements: Vec<_> = leases.iter().map(complete).collect();
        persist(async || broker.settle(&settlements).await).await;
        leases.clear();
    }
}

#[tokio::test]
async fn what_the_replica_has_survives_the_loss_of_the_primary_and_work_goes_on() {
    let mut site = Sentinels::start_with(&[]);
    let (producer, worker) = (at(&site.url()), at(&site.url()));
    producer.check().await.unwrap();
    let before: Vec<_> = (0..50).map(|n| NewJob::new("t", n.to_string()).queue("mail")).collect();
    producer.enqueue(before.clone()).await.unwrap();
    site.primary().wait_for_replicas();

    site.primary().kill();
    let error = producer.check().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let after = NewJob::new("t", "after").queue("mail");
    persist(async || producer.enqueue(vec![after.clone()]).await).await;
    work(&worker, "mail", 51).await;
    for job in before.iter().chain([&after]) {
        assert!(producer.result(&job.id).await.unwrap().is_some(), "{} did not end", job.id);
    }
}

#[tokio::test]
async fn a_primary_that_hangs_is_left_for_the_new_one_and_not_written_to_when_it_wakes() {
    let mut site = Sentinels::start_with(&[]);
    let broker = at(&site.url());
    broker.check().await.unwrap();
    let old = site.primary();
    old.pause();
    let job = NewJob::new("t", "").queue("mail");
    persist(async || broker.enqueue(vec![job.clone()]).await).await;
    old.resume();
    persist(async || broker.check().await).await;
    assert_eq!(persist(async || broker.queues().await).await[0].queued, 1);
}

#[tokio::test]
async fn a_waiting_worker_is_woken_by_a_failover_and_hears_the_new_primary() {
    let mut site = Sentinels::start_with(&[]);
    let (idle, other) = (at(&site.url()), at(&site.url()));
    settle_down(&idle).await;
    let queues = mail();
    let kill = async { site.primary().kill() };
    timeout(LONG / 2, async { tokio::join!(idle.wait(&queues, LONG), kill) }).await.expect("it is woken");
    persist(async || idle.lease(&request("mail", 1)).await).await;
    settle_down(&idle).await;
    let enqueue = async { persist(async || other.enqueue(vec![NewJob::new("t", "").queue("mail")]).await).await };
    timeout(LONG / 2, async { tokio::join!(idle.wait(&queues, LONG), enqueue) }).await.expect("it hears again");
}

#[tokio::test]
async fn sentinels_may_want_the_login_of_the_servers() {
    let mut site = Sentinels::start_with(&[]);
    for sentinel in site.sentinels() {
        sentinel.command("ACL SETUSER default resetpass >s3cret");
    }
    let error = at(&site.url()).check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("refuses the login")), "{error:?}");
    let url = site.url().replace("://", "://:s3cret@");
    at(&url).check().await.unwrap();
    site.sentinels().last_mut().unwrap().kill();
    at(&url).check().await.expect("the others are asked with it though the last one asked is down");
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_and_what_is_no_sentinel_are_named() {
    let mut site = Sentinels::start_with(&[]);
    let error = at(&site.url().replace("/afresh", "/nobody")).check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unavailable(text) if text.contains("check the name")), "{error:?}");
    let server = RedisServer::start();
    let error = at(&format!("redis+sentinel://{}/afresh", server.address())).check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("is no sentinel")), "{error:?}");
    let server = at(&format!("redis://{}", site.sentinels()[0].address()));
    let error = server.check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("write redis+sentinel://")), "{error:?}");
}
