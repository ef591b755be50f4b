//! What workers leave behind in Redis: nothing.

use std::time::Duration;

use afresh_harness::RedisServer;
use afresh_queue::fleet::KEEP_GONE;
use afresh_queue::redis::RedisBroker;
use afresh_queue::{Clock, Fleet, Timestamp, WorkerInfo};

#[tokio::test]
async fn workers_that_ended_or_were_forgotten_leave_nothing_behind() {
    let server = RedisServer::start();
    let clock = Clock::manual(Timestamp::now());
    let broker = RedisBroker::new(&server.url(), clock.clone()).unwrap();
    let announce = async |name: String| {
        broker.announce(&WorkerInfo { name, ..WorkerInfo::default() }, Duration::from_secs(15)).await.unwrap();
    };
    for number in 0..50 {
        announce(format!("killed-{number}")).await;
    }
    let kept = || {
        ["HLEN afresh:workers:{workers}", "ZCARD afresh:workers:{workers}:forgotten"]
            .map(|command| server.command(command).trim().to_owned())
    };
    assert_eq!(kept(), [":50", ":50"]);
    clock.advance(KEEP_GONE + Duration::from_secs(15));
    announce("last".to_owned()).await;
    assert_eq!(kept(), [":1", ":1"]);
    broker.withdraw("last").await.unwrap();
    assert_eq!(kept(), [":0", ":0"]);
}
