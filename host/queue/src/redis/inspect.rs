//! Looking into Redis, for people and screens. What is read in several commands is not one instant: a job may move on
//! between them. What a person does by hand is one script a queue, like everything that changes a job's state.

use std::collections::BTreeSet;

use async_trait::async_trait;
use redis::ScriptInvocation;

use super::keys::{self, Keys};
use super::record::{self, VIEW_FIELDS, ViewRow, micros};
use super::{BATCH, RedisBroker, scripts};
use crate::broker::{BrokerError, Inspect, JobFilter, QueueCounts};
use crate::clock::Timestamp;
use crate::job::{JobId, JobView, State};
use crate::policy::KEEP_CANCELLED;

/// The states a job can be found in. Expired jobs have no index yet: nothing expires.
const INDEXED: [State; 6] =
    [State::Scheduled, State::Queued, State::Running, State::Succeeded, State::Dead, State::Cancelled];

/// How many ids of an index are read at once by a listing.
const PAGE: usize = 1_000;

#[async_trait]
impl Inspect for RedisBroker {
    async fn job(&self, id: &JobId) -> Result<Option<JobView>, BrokerError> {
        for queue in self.queue_names().await? {
            if let Some(view) = self.views(&queue, std::slice::from_ref(id)).await?.pop() {
                return Ok(Some(view));
            }
        }
        Ok(None)
    }

    async fn payload(&self, id: &JobId) -> Result<Option<Vec<u8>>, BrokerError> {
        self.field(id, "payload", |_| true).await
    }

    async fn result(&self, id: &JobId) -> Result<Option<Vec<u8>>, BrokerError> {
        self.field(id, "reply", |state| state == State::Succeeded).await
    }

    /// Looks at every job in the states asked for, a page at a time, so that none is ever out of sight: in a queue of a
    /// million this takes seconds.
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, BrokerError> {
        let queues = match &filter.queue {
            Some(queue) => vec![queue.clone()],
            None => self.queue_names().await?,
        };
        let mut newest = BTreeSet::new();
        for queue in &queues {
            for state in INDEXED.into_iter().filter(|state| filter.state.is_none_or(|wanted| wanted == *state)) {
                self.gather(queue, state, filter, &mut newest).await?;
            }
        }
        let mut views = Vec::with_capacity(newest.len());
        for (_, id, queue) in newest.into_iter().rev() {
            views.extend(self.views(&queue, &[id]).await?);
        }
        Ok(views)
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>, BrokerError> {
        let mut all = Vec::new();
        for queue in self.queue_names().await? {
            let keys = Keys::of(&queue);
            let mut pipeline = redis::pipe();
            for state in INDEXED {
                pipeline.zcard(keys.index(state));
            }
            pipeline.zrange(keys.index(State::Queued), 0, 0);
            let (scheduled, queued, running, succeeded, dead, cancelled, first): (_, _, _, _, _, _, Vec<String>) =
                self.link.pipeline(&pipeline).await?;
            let oldest_queued_at = match first.first() {
                Some(id) => self.queued_since(&keys.record(id)).await?,
                None => None,
            };
            all.push(QueueCounts { queue, scheduled, queued, running, succeeded, dead, cancelled, oldest_queued_at });
        }
        Ok(all)
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        self.by_hand(ids, |queue| {
            let mut call = self.call(&scripts::CANCEL, queue);
            call.arg(micros(KEEP_CANCELLED));
            call
        })
        .await
    }

    async fn retry(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        self.by_hand(ids, |queue| self.call(&scripts::RETRY, queue)).await
    }

    async fn remove(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        self.by_hand(ids, |queue| self.call(&scripts::REMOVE, queue)).await
    }

    async fn purge(&self, queue: &str) -> Result<u64, BrokerError> {
        let mut purged = 0;
        loop {
            let removed: u64 = self.link.invoke(self.call(&scripts::PURGE, queue).arg(BATCH)).await?;
            if removed == 0 {
                return Ok(purged);
            }
            purged += removed;
        }
    }
}

impl RedisBroker {
    async fn queue_names(&self) -> Result<Vec<String>, BrokerError> {
        let mut names: Vec<String> = self.link.query(redis::cmd("SMEMBERS").arg(keys::QUEUES)).await?;
        names.sort();
        Ok(names)
    }

    /// The jobs of these ids that are in this queue.
    async fn views(&self, queue: &str, ids: &[JobId]) -> Result<Vec<JobView>, BrokerError> {
        let keys = Keys::of(queue);
        let mut views = Vec::with_capacity(ids.len());
        for id in ids {
            let key = keys.job(id);
            let mut pipeline = redis::pipe();
            pipeline.cmd("HMGET").arg(&key).arg(VIEW_FIELDS.as_slice());
            pipeline.cmd("HSTRLEN").arg(&key).arg("payload");
            pipeline.cmd("HSTRLEN").arg(&key).arg("reply");
            let row: ViewRow = self.link.pipeline(&pipeline).await?;
            views.extend(record::view(queue, id.clone(), row));
        }
        Ok(views)
    }

    /// A field of the job with this id, where it has one and is in a state that will do.
    async fn field(
        &self,
        id: &JobId,
        name: &str,
        will_do: impl Fn(State) -> bool + Send,
    ) -> Result<Option<Vec<u8>>, BrokerError> {
        for queue in self.queue_names().await? {
            let mut command = redis::cmd("HMGET");
            command.arg(Keys::of(&queue).job(id)).arg("state").arg(name);
            let (state, value): (Option<String>, Option<Vec<u8>>) = self.link.query(&command).await?;
            if let Some(state) = state {
                let fits = state.parse().is_ok_and(&will_do);
                return Ok(value.filter(|_| fits));
            }
        }
        Ok(None)
    }

    /// Adds the jobs of one index that match, keeping no more than the filter's limit of the newest.
    async fn gather(
        &self,
        queue: &str,
        state: State,
        filter: &JobFilter,
        newest: &mut BTreeSet<(i64, JobId, String)>,
    ) -> Result<(), BrokerError> {
        let keys = Keys::of(queue);
        for start in (0..).step_by(PAGE) {
            let mut command = redis::cmd("ZRANGE");
            command.arg(keys.index(state)).arg(start).arg(start + PAGE - 1);
            let ids: Vec<String> = self.link.query(&command).await?;
            if ids.is_empty() {
                break;
            }
            let mut pipeline = redis::pipe();
            for id in &ids {
                pipeline.cmd("HMGET").arg(keys.record(id)).arg(&["at", "task", "outcome"]);
            }
            let rows: Vec<(Option<i64>, Option<String>, Option<String>)> = self.link.pipeline(&pipeline).await?;
            for (id, (at, task, outcome)) in ids.iter().zip(rows) {
                let fits = filter.task.as_ref().is_none_or(|wanted| task.as_ref() == Some(wanted))
                    && filter.outcome.is_none_or(|wanted| outcome.as_deref() == Some(wanted.as_str()));
                // An id that is none was not put there by us, and cannot be asked for.
                if let (true, Ok(id)) = (fits, id.parse()) {
                    newest.insert((at.unwrap_or_default(), id, queue.to_owned()));
                }
                if newest.len() > filter.limit {
                    newest.pop_first();
                }
            }
        }
        Ok(())
    }

    /// Since when the job with this record waits in the queue.
    async fn queued_since(&self, key: &str) -> Result<Option<Timestamp>, BrokerError> {
        let (at, run_at): (Option<i64>, Option<i64>) =
            self.link.query(redis::cmd("HMGET").arg(key).arg(&["at", "run_at"])).await?;
        Ok(run_at.or(at).map(Timestamp))
    }

    /// Runs a script on ids, in the first queue by name that has each. It answers 1 (done), 0 (not in that state) or
    /// -1 (not in this queue) for each.
    async fn by_hand<'a>(
        &self,
        ids: &[JobId],
        call: impl Fn(&str) -> ScriptInvocation<'a> + Send,
    ) -> Result<Vec<bool>, BrokerError> {
        let mut done = vec![false; ids.len()];
        let mut left: Vec<usize> = (0..ids.len()).collect();
        for queue in self.queue_names().await? {
            let mut elsewhere = Vec::new();
            for places in left.chunks(BATCH) {
                let mut call = call(&queue);
                for &place in places {
                    call.arg(ids[place].as_str());
                }
                let answers: Vec<i64> = self.link.invoke(&call).await?;
                for (&place, answer) in places.iter().zip(answers) {
                    done[place] = answer == 1;
                    if answer < 0 {
                        elsewhere.push(place);
                    }
                }
            }
            left = elsewhere;
        }
        Ok(done)
    }
}
