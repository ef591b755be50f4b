//! rusty-sidekiq: `sidekiq enqueue JOBS`, or `sidekiq work WORKERS`. PEER_REDIS says where Redis is.

use anyhow::Context as _;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, RedisPool, Worker};

/// Jobs on their way to Redis at the same time.
const PRODUCERS: usize = 16;

/// 100 bytes as JSON.
#[derive(Serialize, Deserialize)]
struct Job {
    n: usize,
    x: String,
}

struct Nothing;

#[async_trait]
impl Worker<Job> for Nothing {
    async fn perform(&self, _: Job) -> sidekiq::Result<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("PEER_REDIS").context("PEER_REDIS does not say where Redis is")?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["enqueue", jobs] => enqueue(&url, jobs.parse()?).await,
        ["work", workers] => work(&url, workers.parse()?).await,
        _ => anyhow::bail!("usage: sidekiq enqueue JOBS | sidekiq work WORKERS"),
    }
}

async fn enqueue(url: &str, jobs: usize) -> anyhow::Result<()> {
    let pool = pool(url, PRODUCERS).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for producer in 0..PRODUCERS {
        let (pool, own) = (pool.clone(), (producer..jobs).step_by(PRODUCERS));
        tasks.spawn(async move {
            for n in own {
                Nothing::perform_async(&pool, Job { n: 100_000 + n, x: "x".repeat(81) }).await?;
            }
            sidekiq::Result::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn work(url: &str, workers: usize) -> anyhow::Result<()> {
    // One connection for each worker, since each blocks on its own, and some for statistics and what is scheduled.
    let pool = pool(url, workers + 4).await?;
    let config = ProcessorConfig::default().num_workers(workers);
    let mut processor = Processor::new(pool, vec!["default".to_owned()]).with_config(config);
    processor.register(Nothing);
    processor.run().await;
    anyhow::bail!("the worker ended")
}

async fn pool(url: &str, connections: usize) -> anyhow::Result<RedisPool> {
    let manager = RedisConnectionManager::new(url)?;
    Ok(bb8::Pool::builder().max_size(u32::try_from(connections)?).build(manager).await?)
}
