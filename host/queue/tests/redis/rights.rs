//! The rights that `docs/redis.md` lists are enough, and none is there in vain: without any one of them something fails,
//! with a sentence that names it. The lists are read from the page itself.

use std::collections::BTreeSet;
use std::time::Duration;

use afresh_harness::{RedisCluster, RedisServer, Sentinels};
use afresh_queue::redis::RedisBroker;
use afresh_queue::{
    Beat, Broker, BrokerError, Checkup, Clock, Control, Fleet, Flows, Inspect, JobFilter, Level, Limit, NewJob,
    Retention, Scope, Timestamp, Unique, UniqueScope, WorkerInfo,
};

use crate::{complete, request};

const PAGE: &str = include_str!("../../../../docs/redis.md");

/// The rules of the user of this name, as the page has them.
fn rules(user: &str) -> Vec<String> {
    let start = format!("ACL SETUSER {user} on >PASSWORD ");
    let line = PAGE.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("the page has no {start}")).split(' ').map(str::to_owned).collect()
}

/// A broker as a user with these rules.
fn as_user(server: &RedisServer, rules: &[String]) -> RedisBroker {
    assert!(server.command("SCRIPT FLUSH").starts_with("+OK"));
    assert!(server.command(&format!("ACL SETUSER ann reset on >pass {}", rules.join(" "))).starts_with("+OK"));
    RedisBroker::new(&format!("redis://ann:pass@{}", server.address()), Clock::Broker).unwrap()
}

/// What a producer does.
async fn produce(broker: &RedisBroker) -> Result<(), BrokerError> {
    broker.check().await?;
    let later = Timestamp::now().after(Duration::from_secs(60));
    for queue in ["mail", "fair"] {
        let job = || NewJob::new("t", "").queue(queue).key("ann");
        let unique = job().unique(Unique { key: "picture".into(), scope: UniqueScope::Unfinished });
        broker.enqueue(vec![job(), job().run_at(later), job().expires_at(later), unique]).await?;
    }
    // One with a short record, and one with a hash.
    for job in broker.enqueue(vec![NewJob::new("t", ""), NewJob::new("t", "").key("ann")]).await? {
        broker.result(&job.id).await?;
    }
    Ok(())
}

/// What a worker does, and people who look after it.
async fn work(broker: &RedisBroker) -> Result<(), BrokerError> {
    broker.check_to_work().await?;
    produce(broker).await?;
    let limit = Limit { concurrency: Some(5), rate: None };
    broker.set_limit("mail", &Scope::Queue, &limit).await?;
    broker.rules().await?;
    broker.batches(1).await?;
    let queues = ["mail".to_owned()];
    broker.promote(&queues, &Retention::default()).await?;
    for lease in broker.lease(&request("mail", 1)).await? {
        broker.extend(&[Beat { lease: lease.reference(), begun: true }], Duration::from_secs(30)).await?;
        broker.settle(&[complete(&lease)]).await?;
    }
    broker.reap(&request("mail", 1)).await?;
    let ids: Vec<_> =
        broker.jobs(&JobFilter { limit: 10, ..JobFilter::default() }).await?.into_iter().map(|job| job.id).collect();
    broker.cancel(&ids).await?;
    broker.retry(&ids).await?;
    broker.purge("mail").await?;
    broker.queues().await?;
    broker.announce(&WorkerInfo::default(), Duration::from_secs(15)).await?;
    broker.workers().await?;
    broker.withdraw("").await?;
    for finding in broker.checkup().await? {
        assert!(finding.level < Level::Problem, "{finding:?}");
    }
    Ok(())
}

async fn fails_without_any(user: &str, path: impl AsyncFn(&RedisBroker) -> Result<(), BrokerError>) {
    let server = RedisServer::start();
    let admin = crate::broker(&server);
    admin.set_fair("fair", true).await.unwrap();
    let all = rules(user);
    let allowed = path(&as_user(&server, &all)).await;
    assert!(allowed.is_ok(), "{allowed:?}: {}", server.command("ACL LOG 1"));
    for place in 0..all.len() {
        let right = &all[place];
        if ["-@all", "reset"].iter().any(|word| right.starts_with(word)) {
            continue;
        }
        server.command("FLUSHALL");
        admin.set_fair("fair", true).await.unwrap();
        let mut less = all.clone();
        less.remove(place);
        let error =
            path(&as_user(&server, &less)).await.err().unwrap_or_else(|| panic!("nothing fails without {right}"));
        let named = right.trim_start_matches('+').split('|').next().unwrap();
        let says = |text: &str| match right.chars().next() {
            Some('+') => text.contains(named),
            _ => text.contains("permissions") || text.contains(right.as_str()),
        };
        assert!(matches!(&error, BrokerError::Unusable(text) if says(text)), "without {right}: {error:?}");
    }
}

#[tokio::test]
async fn a_worker_has_the_rights_it_needs_and_no_more() {
    fails_without_any("worker", work).await;
}

#[tokio::test]
async fn a_producer_has_the_rights_it_needs_and_no_more_and_those_of_a_worker_suffice() {
    fails_without_any("producer", produce).await;
    let worker: BTreeSet<_> = rules("worker").into_iter().collect();
    assert!(rules("producer").iter().all(|right| worker.contains(right)));
}

#[tokio::test]
async fn in_a_cluster_one_more_right_is_needed_and_with_sentinels_none() {
    let user = format!("ACL SETUSER ann reset on >pass {}", rules("worker").join(" "));
    let mut cluster = RedisCluster::start();
    for node in cluster.nodes() {
        node.command(&user);
    }
    let url = cluster.url().replace("://", "://ann:pass@");
    let broker = || RedisBroker::new(&url, Clock::Broker).unwrap();
    let error = broker().check_to_work().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("'cluster|slots'")), "{error:?}");
    for node in cluster.nodes() {
        node.command("ACL SETUSER ann +cluster|slots");
    }
    work(&broker()).await.unwrap();

    let mut site = Sentinels::start_with(&[]);
    site.primary().command(&user);
    let url = site.url().replace("://", "://ann:pass@");
    work(&RedisBroker::new(&url, Clock::Broker).unwrap()).await.unwrap();
}
