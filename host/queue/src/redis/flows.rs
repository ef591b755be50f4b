//! Batches: each is a hash in its queue, with the list of its jobs beside it. What becomes of it is in `scripts/flow.lua`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use super::keys::Keys;
use super::record::micros;
use super::{RedisBroker, record, scripts};
use crate::batch::Batch;
use crate::broker::{BrokerError, Enqueued};
use crate::chain;
use crate::clock::Timestamp;
use crate::flow::{BatchCancelled, BatchJob, BatchState, BatchView, Flows, Taken};
use crate::job::{JobId, PAYLOAD_CEILING};
use crate::policy::KEEP_CANCELLED;

/// How many jobs of a batch are looked at in one round trip.
const PAGE: usize = 1_000;

#[async_trait]
impl Flows for RedisBroker {
    async fn enqueue_batch(&self, batch: &Batch) -> Result<Enqueued, BrokerError> {
        batch.validate(PAYLOAD_CEILING).map_err(BrokerError::Invalid)?;
        let mut call = self.call(&scripts::BATCH, &batch.queue);
        record::add_batch(&mut call, batch);
        let ((), answer) = tokio::try_join!(self.list(&batch.queue), self.link.invoke(&call))?;
        match answer {
            Answer::Created => Ok(Enqueued { id: batch.id.clone(), created: true }),
            Answer::Exists => Ok(Enqueued { id: batch.id.clone(), created: false }),
            Answer::Taken(taken) => Err(taken.error(batch)),
        }
    }

    async fn batch(&self, id: &JobId) -> Result<Option<BatchView>, BrokerError> {
        for queue in self.queue_names().await? {
            if let Some(view) = self.batch_in(&queue, id).await? {
                return Ok(Some(view));
            }
        }
        Ok(None)
    }

    async fn batch_jobs(&self, id: &JobId) -> Result<Vec<BatchJob>, BrokerError> {
        let Some(BatchView { queue, .. }) = self.batch(id).await? else { return Ok(Vec::new()) };
        let keys = Keys::of(&queue);
        let ids: Vec<String> = self.link.query(redis::cmd("ZRANGE").arg(keys.batch_jobs(id)).arg(0).arg(-1)).await?;
        let mut jobs = Vec::with_capacity(ids.len());
        for page in ids.chunks(PAGE) {
            let mut pipeline = redis::pipe();
            for job in page {
                pipeline.cmd("HMGET").arg(keys.record(job)).arg(&["task", "state", "flow"]);
            }
            let rows: Vec<(Option<String>, Option<String>, Option<String>)> = self.link.pipeline(&pipeline).await?;
            jobs.extend(page.iter().zip(rows).filter_map(|(job, (task, state, flow))| {
                // Another job may have its id by now.
                let ours = flow?.split('\n').next() == Some(id.as_str());
                ours.then_some(BatchJob { id: job.parse().ok()?, task: task?, state: state?.parse().ok()? })
            }));
        }
        Ok(jobs)
    }

    async fn batches(&self, limit: usize) -> Result<Vec<BatchView>, BrokerError> {
        let mut newest = BTreeSet::new();
        for queue in self.queue_names().await? {
            let mut command = redis::cmd("ZREVRANGE");
            command.arg(Keys::of(&queue).batches()).arg(0).arg(-1).arg("WITHSCORES");
            let found: Vec<(String, f64)> = self.link.query(&command).await?;
            for (id, at) in found {
                newest.extend(id.parse::<JobId>().ok().map(|id| (at as i64, id, queue.clone())));
                if newest.len() > limit {
                    newest.pop_first();
                }
            }
        }
        let mut views = Vec::with_capacity(newest.len());
        for (_, id, queue) in newest.iter().rev() {
            views.extend(self.batch_in(queue, id).await?);
        }
        Ok(views)
    }

    async fn cancel_batch(&self, id: &JobId) -> Result<Option<BatchCancelled>, BrokerError> {
        for queue in self.queue_names().await? {
            let mut call = self.call(&scripts::CANCEL_BATCH, &queue);
            call.arg(micros(KEEP_CANCELLED)).arg(id.as_str());
            let (cancelled, asked): (i64, u64) = self.link.invoke(&call).await?;
            if cancelled != NOT_HERE {
                return Ok(u64::try_from(cancelled).ok().map(|cancelled| BatchCancelled { cancelled, asked }));
            }
        }
        Ok(None)
    }
}

/// What `cancel-batch` answers for a batch that is in another queue, or in none.
const NOT_HERE: i64 = -1;

/// What `batch` answers.
pub(super) enum Answer {
    Created,
    Exists,
    Taken(Taken),
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        if let Value::Int(created) = value {
            return Ok(if created == 1 { Self::Created } else { Self::Exists });
        }
        let mut words = Vec::<String>::from_redis_value(value)?.into_iter();
        let (what, name, holder) = (words.next(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Ok(Self::Taken(match what.as_deref() {
            Some("unique") => Taken::Unique { key: name, holder },
            Some("batch") => Taken::Batch(name),
            _ => Taken::Job(name),
        }))
    }
}

/// The fields of a batch that a view is made of, but for the counts.
const FIELDS: [&str; 6] = ["state", "parent", "batches", "callback", "at", "finished"];
const COUNTS: [&str; 7] = ["total", "pending", "succeeded", "dead", "cancelled", "expired", "removed"];

impl RedisBroker {
    /// The batch of this id, if it is in this queue.
    async fn batch_in(&self, queue: &str, id: &JobId) -> Result<Option<BatchView>, BrokerError> {
        let mut command = redis::cmd("HMGET");
        command.arg(Keys::of(queue).batch(id)).arg(&FIELDS).arg(&COUNTS);
        let mut values: Vec<Value> = self.link.query(&command).await?;
        let counts = values.split_off(FIELDS.len());
        let mut texts = values.into_iter().map(|value| from_redis_value::<Option<String>>(value).ok().flatten());
        let mut text = || texts.next().flatten().unwrap_or_default();
        let (state, parent, batches, callback, at, finished) = (text(), text(), text(), text(), text(), text());
        let Some(state) = BatchState::of(&state) else { return Ok(None) };
        let batches = self.nested_in(queue, id, &batches).await?;
        let mut counts = counts.into_iter().map(|value| from_redis_value::<u64>(value).unwrap_or_default());
        let mut count = || counts.next().unwrap_or_default();
        Ok(Some(BatchView {
            id: id.clone(),
            queue: queue.to_owned(),
            parent: parent.parse().ok(),
            state,
            total: count(),
            pending: count(),
            succeeded: count(),
            dead: count(),
            cancelled: count(),
            expired: count(),
            removed: count(),
            enqueued_at: Timestamp(at.parse().unwrap_or_default()),
            finished_at: finished.parse().ok().map(Timestamp),
            callback: chain::decode(&callback).into_iter().next(),
            batches,
        }))
    }

    /// Those of these batches that are still there.
    async fn nested_in(&self, queue: &str, parent: &JobId, ids: &str) -> Result<Vec<JobId>, BrokerError> {
        let ids: Vec<JobId> = ids.lines().filter_map(|id| id.parse().ok()).collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        let keys = Keys::of(queue);
        let mut pipeline = redis::pipe();
        for id in &ids {
            pipeline.cmd("HGET").arg(keys.batch(id)).arg("parent");
        }
        let parents: Vec<Option<String>> = self.link.pipeline(&pipeline).await?;
        let nested = ids.into_iter().zip(parents).filter(|(_, found)| found.as_deref() == Some(parent.as_str()));
        Ok(nested.map(|(id, _)| id).collect())
    }
}
