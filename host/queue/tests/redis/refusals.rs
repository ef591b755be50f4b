//! Servers that answer, but not with what we need: one sentence each, and nothing is lost.

use std::io::{Read, Write};
use std::net::TcpListener;

use afresh_harness::RedisServer;
use afresh_queue::redis::RedisBroker;
use afresh_queue::{Broker, BrokerError, Clock, Inspect, NewJob, Retention, Settle, Settled, State};

use crate::{broker, complete, request};

fn at(url: &str) -> RedisBroker {
    RedisBroker::new(url, Clock::Broker).unwrap()
}

#[tokio::test]
async fn a_full_redis_takes_no_new_job_but_is_drained() {
    let server = RedisServer::start();
    let broker = broker(&server);
    let job = NewJob::new("t", "");
    broker.enqueue(vec![job.clone()]).await.unwrap();
    server.command("CONFIG SET maxmemory 1");

    let refused = NewJob::new("t", "");
    let error = broker.enqueue(vec![refused.clone()]).await.unwrap_err();
    assert!(matches!(&error, BrokerError::Refused(text) if text.contains("`maxmemory`")), "{error:?}");
    assert!(broker.job(&refused.id).await.unwrap().is_none());

    let lease = broker.lease(&request("default", 1)).await.unwrap().remove(0);
    assert_eq!(broker.settle(&[complete(&lease)]).await.unwrap(), [Settled::Done]);
    assert_eq!(broker.job(&job.id).await.unwrap().unwrap().state, State::Succeeded);
    assert_eq!(broker.remove(&[job.id]).await.unwrap(), [true]);
}

#[tokio::test]
async fn a_full_redis_is_drained_though_a_job_for_another_queue_cannot_get_there() {
    let server = RedisServer::start();
    let broker = broker(&server);
    broker.enqueue(vec![NewJob::new("t", ""), NewJob::new("t", "")]).await.unwrap();
    let leases = broker.lease(&request("default", 2)).await.unwrap();
    let child = NewJob::new("t", "").queue("other");
    let with_child = Settle { jobs: vec![child.clone()], ..complete(&leases[0]) };
    server.command("CONFIG SET maxmemory 1");
    assert_eq!(broker.settle(&[with_child]).await.unwrap(), [Settled::Done]);
    broker.promote(&["default".to_owned()], &Retention::default()).await.unwrap();
    assert_eq!(broker.settle(&[complete(&leases[1])]).await.unwrap(), [Settled::Done]);
    assert!(broker.job(&child.id).await.unwrap().is_none());
    let waiting = server.command("ZCARD afresh:{default}:outbox-due");
    assert!(waiting.starts_with(":1"), "it is kept for later: {waiting}");
}

#[tokio::test]
async fn dead_ids_without_a_record_are_cleaned_away() {
    let server = RedisServer::start();
    let broker = broker(&server);
    broker.enqueue(vec![NewJob::new("t", "")]).await.unwrap();
    for n in 0..1_200 {
        server.command(&format!("ZADD afresh:{{default}}:dead 1 gone-{n}"));
    }
    broker.promote(&["default".to_owned()], &Retention::default()).await.unwrap();
    assert_eq!(broker.queues().await.unwrap()[0].dead, 0);
}

#[tokio::test]
async fn a_read_only_replica_is_refused_until_it_is_a_primary_again() {
    let server = RedisServer::start();
    let broker = broker(&server);
    broker.check().await.unwrap();
    server.command("REPLICAOF 127.0.0.1 1");
    for error in [broker.check().await.unwrap_err(), broker.enqueue(vec![NewJob::new("t", "")]).await.unwrap_err()] {
        assert!(matches!(&error, BrokerError::Refused(text) if text.contains("read-only replica")), "{error:?}");
    }
    server.command("REPLICAOF NO ONE");
    broker.check().await.unwrap();
}

#[tokio::test]
async fn a_redis_that_misses_its_replicas_is_refused() {
    let server = RedisServer::start_with(&["--min-replicas-to-write", "1"]);
    let error = broker(&server).check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Refused(text) if text.contains("min-replicas-to-write")), "{error:?}");
}

#[tokio::test]
async fn a_wrong_login_is_unusable_and_the_password_is_not_shown() {
    let server = RedisServer::start_with(&["--requirepass", "secret"]);
    let address = server.address();
    for url in
        [format!("redis://{address}"), format!("redis://:wr0ng@{address}"), format!("redis://ann:wr0ng@{address}")]
    {
        let broker = at(&url);
        let error = broker.check().await.unwrap_err();
        assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("refuses the login")), "{url} {error:?}");
        assert!(!error.to_string().contains("wr0ng") && !broker.describe().contains("wr0ng"));
    }
    at(&format!("redis://:secret@{address}")).check().await.unwrap();
}

#[tokio::test]
async fn a_user_without_permission_is_unusable() {
    let server = RedisServer::start_with(&["--user", "ann", "on", ">pass", "~*", "+@read", "+ping", "+hello", "+info"]);
    let broker = at(&format!("redis://ann:pass@{}", server.address()));
    let error = broker.check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("permissions")), "{error:?}");
}

#[tokio::test]
async fn what_is_not_redis_is_said_to_be_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let web_server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the client hangs up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = at(&url).check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("is not Redis")), "{error:?}");
    web_server.join().unwrap();
}

#[test]
fn a_malformed_url_is_refused_before_anything_is_tried() {
    for url in ["redis://", "redis://host:port", "http://host", "rediss://host/db"] {
        let error = RedisBroker::new(url, Clock::Broker).err().unwrap_or_else(|| panic!("{url} passed"));
        assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("redis://HOST:PORT")), "{error:?}");
    }
}

#[tokio::test]
async fn keys_that_hold_something_else_are_named_as_such() {
    let server = RedisServer::start();
    server.command("SET afresh:{default}:queued text");
    let error = broker(&server).lease(&request("default", 1)).await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unusable(text) if text.contains("a database of its own")), "{error:?}");
}
