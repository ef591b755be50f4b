//! A Redis Cluster: each queue lives on one node, every call is one slot's, and a node that is lost is missed for as long
//! as the cluster takes to replace it.

use afresh_harness::{RedisCluster, RedisServer};
use afresh_queue::redis::RedisBroker;
use afresh_queue::{Beat, Broker, BrokerError, Clock, Inspect, LeaseRequest, NewJob, Retention, Timestamp};
use tokio::time::timeout;

use crate::outages::persist;
use crate::waking::{LONG, mail, settle_down};
use crate::{LEASE, complete, request};

/// Queues on the first, the second and the third primary.
const QUEUES: [&str; 3] = ["mail", "print", "red"];

fn at(url: &str) -> RedisBroker {
    RedisBroker::new(url, Clock::Broker).unwrap()
}

fn jobs(queue: &str, count: usize) -> Vec<NewJob> {
    (0..count).map(|n| NewJob::new("t", n.to_string()).queue(queue)).collect()
}

async fn work(broker: &RedisBroker, queue: &str, jobs: usize) {
    let mut done = 0;
    while done < jobs {
        let leases = persist(async || broker.lease(&request(queue, 16)).await).await;
        let settlements: Vec<_> = leases.iter().map(complete).collect();
        persist(async || broker.settle(&settlements).await).await;
        done += leases.len();
    }
}

#[tokio::test]
async fn queues_live_on_different_nodes_and_are_seen_together() {
    let mut cluster = RedisCluster::start();
    let broker = at(&cluster.url());
    broker.check().await.unwrap();
    let mut nodes = Vec::new();
    for queue in QUEUES {
        broker.enqueue(jobs(queue, 10)).await.unwrap();
        nodes.push(cluster.primary_of(&format!("afresh:{{{queue}}}:queued")).address());
    }
    nodes.sort();
    nodes.dedup();
    assert_eq!(nodes.len(), QUEUES.len(), "the queues of this test are on different nodes");
    for queue in QUEUES {
        work(&broker, queue, 10).await;
    }
    let counts: Vec<_> = broker.queues().await.unwrap().iter().map(|counts| counts.succeeded).collect();
    assert_eq!(counts, [10; 3]);
}

#[tokio::test]
async fn what_the_replica_has_survives_the_loss_of_a_node_and_the_others_go_on_meanwhile() {
    let mut cluster = RedisCluster::start_hasty();
    let (producer, worker) = (at(&cluster.url()), at(&cluster.url()));
    let mut before = Vec::new();
    for queue in QUEUES {
        before.extend(jobs(queue, 30));
    }
    persist(async || producer.enqueue(before.clone()).await).await;
    cluster.primary_of("afresh:{mail}:queued").wait_for_replicas();
    cluster.primary_of("afresh:{mail}:queued").kill();

    work(&worker, "print", 30).await;
    let after = NewJob::new("t", "after").queue("mail");
    persist(async || producer.enqueue(vec![after.clone()]).await).await;
    work(&worker, "mail", 31).await;
    work(&worker, "red", 30).await;
    for job in before.iter().chain([&after]) {
        let result = persist(async || producer.result(&job.id).await).await;
        assert!(result.is_some(), "{} did not end", job.id);
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_served_stops_no_other() {
    let mut cluster = RedisCluster::start();
    let clock = Clock::manual(Timestamp(1_000_000_000_000));
    let broker = RedisBroker::new(&cluster.url(), clock.clone()).unwrap();
    let queues = QUEUES.map(str::to_owned).to_vec();
    for queue in QUEUES {
        broker.enqueue(jobs(queue, 2)).await.unwrap();
    }
    let all = LeaseRequest { queues: queues.clone(), ..request("mail", 3) };
    let leases = broker.lease(&LeaseRequest { max: 6, ..all.clone() }).await.unwrap();
    assert_eq!(leases.len(), 6);
    let soon = clock.fixed().unwrap().after(LEASE / 2);
    for queue in QUEUES {
        broker.enqueue(vec![NewJob::new("t", "").queue(queue).run_at(soon)]).await.unwrap();
    }
    clock.advance(LEASE / 2);
    // The first in any order, and nobody takes its place.
    let node = cluster.primary_of("afresh:{mail}:queued");
    node.command("CONFIG SET min-replicas-to-write 9");
    assert_eq!(persist(async || broker.promote(&queues, &Retention::default()).await).await.moved, 2);
    assert_eq!(broker.lease(&all).await.unwrap().len(), 2);
    let beats: Vec<_> = leases.iter().map(|lease| Beat { lease: lease.reference(), begun: true }).collect();
    assert!(broker.extend(&beats, LEASE * 9).await.unwrap_err().is_transient());
    let settlements: Vec<_> = leases.iter().map(complete).collect();
    assert!(broker.settle(&settlements).await.unwrap_err().is_transient());
    let succeeded: Vec<_> = broker.queues().await.unwrap().iter().map(|counts| counts.succeeded).collect();
    assert_eq!(succeeded, [0, 2, 2]);
    let mail = ["mail".to_owned()];
    assert!(broker.promote(&mail, &Retention::default()).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_node_that_hangs_is_left_for_its_replica() {
    let mut cluster = RedisCluster::start_hasty();
    let broker = at(&cluster.url());
    persist(async || broker.enqueue(jobs("mail", 10)).await).await;
    let node = cluster.primary_of("afresh:{mail}:queued");
    node.wait_for_replicas();
    node.pause();
    work(&broker, "mail", 10).await;
    node.resume();
    persist(async || broker.enqueue(jobs("mail", 1)).await).await;
    work(&broker, "mail", 1).await;
}

#[tokio::test]
async fn a_waiting_worker_hears_every_node_and_hears_again_whichever_is_lost() {
    let mut cluster = RedisCluster::start_hasty();
    let (idle, other) = (at(&cluster.url()), at(&cluster.url()));
    let queues = mail();
    for lost in QUEUES {
        settle_down(&idle).await;
        let enqueue = async { persist(async || other.enqueue(jobs("mail", 1)).await).await };
        timeout(LONG / 2, async { tokio::join!(idle.wait(&queues, LONG), enqueue) }).await.expect("it is woken");
        work(&other, "mail", 1).await;
        settle_down(&idle).await;
        let node = cluster.primary_of(&format!("afresh:{{{lost}}}"));
        let kill = async { node.kill() };
        timeout(LONG / 2, async { tokio::join!(idle.wait(&queues, LONG), kill) }).await.expect("a loss is news");
        // Until the replica has its place; the cluster takes nothing before.
        persist(async || other.enqueue(jobs(lost, 1)).await).await;
        work(&other, lost, 1).await;
        node.restart();
    }
}

#[tokio::test]
async fn while_a_slot_moves_nothing_is_done_in_it_and_then_it_goes_on_where_it_is() {
    let mut cluster = RedisCluster::start();
    let broker = at(&cluster.url());
    broker.enqueue(jobs("mail", 5)).await.unwrap();
    let (from, slot) = {
        let node = cluster.primary_of("afresh:{mail}:queued");
        (node.address(), node.command("CLUSTER KEYSLOT afresh:{mail}").trim_start_matches(':').trim().to_owned())
    };
    let to = cluster.primary_of("afresh:{print}").address();
    let ids = cluster.nodes().iter().map(|node| (node.address(), node.command("CLUSTER MYID")));
    let ids: std::collections::HashMap<_, _> =
        ids.map(|(address, id)| (address, id.lines().nth(1).unwrap().to_owned())).collect();
    let tell = |cluster: &mut RedisCluster, node, command: String| {
        let node = cluster.nodes().iter().find(|server| server.address() == node).expect("it is one of them");
        node.command(&command)
    };

    tell(&mut cluster, to, format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[&from]));
    tell(&mut cluster, from, format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[&to]));
    let error = broker.enqueue(jobs("mail", 1)).await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unavailable(text) if text.contains("is moving")), "{error:?}");
    assert!(broker.lease(&request("mail", 1)).await.unwrap_err().is_transient());

    let keys = tell(&mut cluster, from, format!("CLUSTER GETKEYSINSLOT {slot} 1000"));
    let keys: Vec<_> = keys.lines().filter(|line| line.starts_with("afresh:")).map(str::to_owned).collect();
    assert!(keys.len() > 2, "{keys:?}");
    let moved =
        tell(&mut cluster, from, format!("MIGRATE 127.0.0.1 {} \"\" 0 5000 KEYS {}", to.port(), keys.join(" ")));
    assert!(moved.starts_with("+OK"), "{moved}");
    for node in [to, from] {
        tell(&mut cluster, node, format!("CLUSTER SETSLOT {slot} NODE {}", ids[&to]));
    }
    persist(async || broker.enqueue(jobs("mail", 1)).await).await;
    work(&broker, "mail", 6).await;
}

#[tokio::test]
async fn a_url_of_another_kind_is_answered_with_the_right_one() {
    let mut cluster = RedisCluster::start();
    let node = cluster.nodes()[0].address();
    for error in [
        at(&format!("redis://{node}")).check().await.unwrap_err(),
        at(&format!("redis://{}", cluster.primary_of("afresh:{mail}").address()))
            .enqueue(jobs("print", 1))
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("write redis+cluster://")), "{error:?}");
    }
    let server = RedisServer::start();
    let error = at(&format!("redis+cluster://{}", server.address())).check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("is no Redis Cluster")), "{error:?}");
    // By a name that is not the one the nodes have for themselves, and by one node of them all.
    let named = at(&format!("redis+cluster://localhost:{}", node.port()));
    for _ in 0..3 {
        named.check().await.unwrap();
        named.enqueue(jobs("mail", 1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_login_is_unusable_and_a_cluster_that_is_gone_is_not() {
    let cluster = RedisCluster::start();
    let url = cluster.url().replace("://", "://ann:wr0ng@");
    let error = at(&url).check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("refuses the login")), "{error:?}");
    assert!(!error.to_string().contains("wr0ng"), "{error:?}");
    let url = cluster.url();
    drop(cluster);
    let error = at(&url).check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unavailable(text) if text.contains("cannot be reached")), "{error:?}");
}
