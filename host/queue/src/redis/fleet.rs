//! Workers in Redis: one hash of what they say, and one sorted set that says when each is forgotten.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use super::record::micros;
use super::{RedisBroker, keys, scripts};
use crate::broker::BrokerError;
use crate::clock::Timestamp;
use crate::fleet::{self, Announced, Fleet, KEEP_GONE, WorkerInfo, WorkerView};

#[async_trait]
impl Fleet for RedisBroker {
    async fn announce(&self, worker: &WorkerInfo, keep: Duration) -> Result<(), BrokerError> {
        let mut call = scripts::ANNOUNCE.call(&keys::WORKERS);
        call.arg(self.now());
        call.arg(&worker.name).arg(worker.encode()).arg(micros(keep)).arg(micros(KEEP_GONE));
        self.link.invoke(&call).await
    }

    async fn withdraw(&self, name: &str) -> Result<(), BrokerError> {
        let [workers, forgotten] = keys::WORKERS;
        let mut both = redis::pipe();
        both.hdel(workers, name).ignore().zrem(forgotten, name).ignore();
        self.link.pipeline(&both).await
    }

    async fn workers(&self) -> Result<Vec<WorkerView>, BrokerError> {
        let mut both = redis::pipe();
        both.cmd("TIME").hgetall(keys::WORKERS[0]);
        let ((seconds, rest), known): ((i64, i64), HashMap<String, Vec<u8>>) = self.link.pipeline(&both).await?;
        let now = self.clock.fixed().unwrap_or(Timestamp(seconds * 1_000_000 + rest));
        Ok(fleet::views(known.values().filter_map(|value| read(value)), now))
    }
}

/// What `announce` keeps of a worker: two instants in µs and what it said, with spaces between.
fn read(value: &[u8]) -> Option<Announced> {
    let mut parts = value.splitn(3, |&byte| byte == b' ');
    let mut instant = || std::str::from_utf8(parts.next()?).ok()?.parse().ok().map(Timestamp);
    let (seen, until) = (instant()?, instant()?);
    Some(Announced { seen, until, info: parts.next()?.to_vec() })
}
