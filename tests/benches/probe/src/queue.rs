//! Jobs in Redis as simply as they can be kept, so that none is lost while it runs: a list of ids, a hash of payloads, and a
//! set of those in flight by their deadline. A batch is leased by one script and acknowledged by another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use redis::Script;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;

use crate::guest::Guest;

/// Jobs leased in one call, and acknowledged in one.
const BATCH: usize = 128;

/// Answers ids and payloads in turn. The number at the end is far in the future: no lease expires here.
const LEASE: &str = "
    local ids = redis.call('RPOP', 'probe:queue', ARGV[1])
    if not ids then return {} end
    local payloads = redis.call('HMGET', 'probe:payloads', unpack(ids))
    local flight, answer = {}, {}
    for i, id in ipairs(ids) do
      flight[#flight + 1] = 4102444800
      flight[#flight + 1] = id
      answer[#answer + 1] = id
      answer[#answer + 1] = payloads[i]
    end
    redis.call('ZADD', 'probe:flight', unpack(flight))
    return answer";

const ACKNOWLEDGE: &str = "
    redis.call('ZREM', 'probe:flight', unpack(ARGV))
    return redis.call('HDEL', 'probe:payloads', unpack(ARGV))";

/// The probe's jobs on one server.
pub struct Queue(redis::Client);

impl Queue {
    /// The queue on the server at this URL.
    ///
    /// # Errors
    /// If it is no URL of a Redis.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self(redis::Client::open(url)?))
    }

    /// Hands over so many jobs with this payload, by so many producers on one connection, each so many jobs a `call`; answers
    /// how long that took.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn fill(&self, jobs: usize, payload: &[u8], producers: usize, call: usize) -> anyhow::Result<Duration> {
        let connection = self.connect().await?;
        let began = Instant::now();
        let mut all = JoinSet::new();
        for producer in 0..producers {
            let ids: Vec<_> = (producer..jobs).step_by(producers).collect();
            let (mut connection, payload) = (connection.clone(), payload.to_vec());
            all.spawn(async move {
                for ids in ids.chunks(call) {
                    let mut pipeline = redis::pipe();
                    for id in ids {
                        pipeline.hset("probe:payloads", id, &payload[..]).ignore().lpush("probe:queue", id).ignore();
                    }
                    let () = pipeline.query_async(&mut connection).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(producer) = all.join_next().await {
            producer??;
        }
        Ok(began.elapsed())
    }

    /// Drains it by so many fetchers on the threads of this runtime, each job in an instance of `guest`, or in none; answers
    /// how long that took.
    ///
    /// # Errors
    /// If the server does not answer, a guest traps, or not all `jobs` were there.
    pub async fn drain(&self, jobs: usize, fetchers: usize, guest: Option<Arc<Guest>>) -> anyhow::Result<Duration> {
        let mut connections = Vec::new();
        for _ in 0..fetchers {
            connections.push(self.connect().await?);
        }
        let began = Instant::now();
        let fetchers: Vec<_> =
            connections.into_iter().map(|connection| tokio::spawn(fetch(connection, guest.clone()))).collect();
        let mut done = 0;
        for fetcher in fetchers {
            done += fetcher.await??;
        }
        let took = began.elapsed();
        ensure!(done == jobs, "the probe drained {done} of {jobs} jobs");
        Ok(took)
    }

    async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        Ok(self.0.get_multiplexed_async_connection().await?)
    }
}

/// Runs what there is; answers how many jobs that were.
async fn fetch(mut connection: MultiplexedConnection, guest: Option<Arc<Guest>>) -> anyhow::Result<usize> {
    let (lease, acknowledge) = (Script::new(LEASE), Script::new(ACKNOWLEDGE));
    let mut done = 0;
    loop {
        let jobs: Vec<(Vec<u8>, Vec<u8>)> = lease.arg(BATCH).invoke_async(&mut connection).await?;
        if jobs.is_empty() {
            return Ok(done);
        }
        done += jobs.len();
        let mut acknowledgement = acknowledge.prepare_invoke();
        for (id, payload) in jobs {
            if let Some(guest) = &guest {
                guest.run(payload)?;
            }
            acknowledgement.arg(id);
        }
        let () = acknowledgement.invoke_async(&mut connection).await?;
    }
}
