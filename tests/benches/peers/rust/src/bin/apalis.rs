//! apalis: `apalis enqueue JOBS`, or `apalis work BATCH GUARANTEES`. PEER_REDIS says where Redis is. GUARANTEES is `all` (its defaults: tasks are
//! locked, acknowledged with their results, and events are published), `acks` (no locks, no events) or `none`.

use std::time::Duration;

use anyhow::Context as _;
use apalis::prelude::*;
use apalis_redis::{Client, Config, ConnectionManager, RedisStorage};
use redis::aio::ConnectionManagerConfig;
use serde::{Deserialize, Serialize};

/// Jobs handed over in one call.
const CHUNK: usize = 500;

/// 100 bytes as JSON.
#[derive(Clone, Serialize, Deserialize)]
struct Job {
    n: usize,
    x: String,
}

async fn nothing(_: Job) {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("PEER_REDIS").context("PEER_REDIS does not say where Redis is")?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["enqueue", jobs] => enqueue(&url, jobs.parse()?).await,
        ["work", batch, "all"] => work(&url, batch.parse()?, true, true).await,
        ["work", batch, "acks"] => work(&url, batch.parse()?, false, true).await,
        ["work", batch, "none"] => work(&url, batch.parse()?, false, false).await,
        _ => anyhow::bail!("usage: apalis enqueue JOBS | apalis work BATCH all|acks|none"),
    }
}

async fn enqueue(url: &str, jobs: usize) -> anyhow::Result<()> {
    let mut connection = connect(url).await?;
    let mut storage = RedisStorage::new(connection.clone()).with_config(Config::default());
    for begin in (0..jobs).step_by(CHUNK) {
        let chunk = begin..jobs.min(begin + CHUNK);
        storage.push_bulk(chunk.map(|n| Job { n: 100_000 + n, x: "x".repeat(81) }).collect()).await?;
    }
    make_due(&mut connection).await
}

/// Moves all jobs from the set of what is scheduled, into which this release puts every job, to the list of what is due, as
/// its worker does at its first look. A worker that finds more than 8,000 there ends with *too many results to unpack*.
async fn make_due(connection: &mut ConnectionManager) -> anyhow::Result<()> {
    loop {
        let popped: Vec<String> =
            redis::cmd("ZPOPMIN").arg("default:scheduled").arg(CHUNK).query_async(connection).await?;
        // A member, its score, and so on.
        let ids: Vec<&String> = popped.iter().step_by(2).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let _: i64 = redis::cmd("RPUSH").arg("default:active").arg(ids).query_async(connection).await?;
    }
}

async fn work(url: &str, batch: usize, locks: bool, acks: bool) -> anyhow::Result<()> {
    let config = Config::default().batch_size(batch).lock_tasks(locks).persist_results(acks).emit_events(locks);
    // The last acknowledgements of a queue that runs dry may wait for a heartbeat; each is 30 s from the next by itself.
    let config = config.heartbeat_interval(Duration::from_secs(5));
    let storage = RedisStorage::new(connect(url).await?).with_config(config);
    let worker = WorkerBuilder::new("peer").backend(storage).parallelize(tokio::spawn).build(nothing);
    worker.run().await.context("the worker ended")
}

/// By itself it waits half a second for an answer, and then a worker ends: too little where all share two cores.
async fn connect(url: &str) -> anyhow::Result<ConnectionManager> {
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
    Ok(Client::open(url)?.get_connection_manager_with_config(config).await?)
}
