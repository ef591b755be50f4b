//! Looking into Redis, for people and screens. What is read in several commands is not one instant: a job may move on
//! between them. What a person does by hand is one script a queue, like everything that changes a job's state.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use redis::FromRedisValue;

use super::keys::{self, Keys};
use super::record::{self, VIEW_FIELDS, ViewRow, micros};
use super::scripts::{self, Call, Script};
use super::{BATCH, BATCH_BYTES, RedisBroker};
use crate::broker::{BrokerError, Cancelled, Failures, Inspect, JobFilter, QueueCounts};
use crate::clock::Timestamp;
use crate::job::{JobId, JobView};
use crate::log::JobLog;
use crate::policy::KEEP_CANCELLED;
use crate::state::State;

/// How many ids of an index are read at once by a listing.
const PAGE: usize = 1_000;

#[async_trait]
impl Inspect for RedisBroker {
    async fn job(&self, id: &JobId) -> Result<Option<JobView>, BrokerError> {
        for queue in self.queue_names().await? {
            if let Some(view) = self.view(&queue, id).await? {
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

    async fn log(&self, id: &JobId) -> Result<JobLog, BrokerError> {
        Ok(JobLog::decode(&self.field(id, "log", |_| true).await?.unwrap_or_default()))
    }

    async fn failures(&self, filter: &JobFilter) -> Result<Vec<Failures>, BrokerError> {
        let filter = JobFilter { state: Some(State::Dead), ..filter.clone() };
        let mut groups = BTreeMap::new();
        self.visit(&filter, |queue, seen| {
            let key = (seen.task.clone(), seen.outcome.clone(), seen.fingerprint.clone());
            let group = groups.entry(key).or_insert_with(|| (0_u64, Timestamp(i64::MIN), None));
            group.0 += 1;
            let died = (seen.finished, &seen.id);
            if group.2.as_ref().is_none_or(|(newest, _): &(JobId, String)| died > (group.1, newest)) {
                group.1 = seen.finished;
                group.2 = Some((seen.id.clone(), queue.to_owned()));
            }
        })
        .await?;
        let mut all = Vec::with_capacity(groups.len());
        for ((task, outcome, fingerprint), (jobs, newest_at, newest)) in groups {
            let (Ok(kind), Some((newest, queue))) = (outcome.parse(), newest) else { continue };
            all.push((Failures { task, kind, fingerprint, jobs, newest, newest_at, message: String::new() }, queue));
        }
        // Stable, so that groups of one size stay in their order.
        all.sort_by_key(|(group, _)| std::cmp::Reverse(group.jobs));
        all.truncate(filter.limit);
        let mut failures = Vec::with_capacity(all.len());
        for (group, queue) in all {
            let view = self.view(&queue, &group.newest).await?;
            let error = view.and_then(|view| view.attempts.into_iter().next()?.error);
            failures.push(Failures { message: error.map(|error| error.message).unwrap_or_default(), ..group });
        }
        Ok(failures)
    }

    /// Looks at every job in the states asked for, a page at a time, so that none is ever out of sight: in a queue of a
    /// million this takes seconds.
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, BrokerError> {
        let mut newest = BTreeSet::new();
        self.visit(filter, |queue, seen| {
            newest.insert((seen.at, seen.id, queue.to_owned()));
            if newest.len() > filter.limit {
                newest.pop_first();
            }
        })
        .await?;
        let mut views = Vec::with_capacity(newest.len());
        for (_, id, queue) in newest.into_iter().rev() {
            views.extend(self.view(&queue, &id).await?);
        }
        Ok(views)
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>, BrokerError> {
        let mut all = Vec::new();
        for queue in self.queue_names().await? {
            let keys = Keys::of(&queue);
            let mut pipeline = redis::pipe();
            for state in State::ALL {
                pipeline.zcard(keys.index(state));
            }
            pipeline.zcard(keys.all_held()).zrange(keys.index(State::Queued), 0, 0);
            let (scheduled, in_turn, running, succeeded, dead, cancelled, expired, held, first): (
                u64,
                u64,
                u64,
                u64,
                u64,
                u64,
                u64,
                u64,
                Vec<String>,
            ) = self.link.pipeline(&pipeline).await?;
            let queued = in_turn + held;
            let oldest_queued_at = match first.first() {
                Some(id) => self.queued_since(&queue, id).await?,
                None => None,
            };
            all.push(QueueCounts {
                queue,
                scheduled,
                queued,
                held,
                running,
                succeeded,
                dead,
                cancelled,
                expired,
                oldest_queued_at,
            });
        }
        Ok(all)
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Cancelled>, BrokerError> {
        let call = |queue: &str| {
            let mut call = self.call(&scripts::CANCEL, queue);
            call.arg(micros(KEEP_CANCELLED));
            call
        };
        let answers = self.by_hand(ids, call).await?;
        Ok(answers.into_iter().map(|answer| record::cancelled(answer).unwrap_or(Cancelled::Refused)).collect())
    }

    async fn retry(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        self.done_by_hand(ids, &scripts::RETRY).await
    }

    async fn remove(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        self.done_by_hand(ids, &scripts::REMOVE).await
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
    pub(super) async fn queue_names(&self) -> Result<Vec<String>, BrokerError> {
        let mut names: Vec<String> = self.link.query(redis::cmd("SMEMBERS").arg(keys::QUEUES)).await?;
        names.sort();
        Ok(names)
    }

    /// The job of this id, if it is in this queue.
    async fn view(&self, queue: &str, id: &JobId) -> Result<Option<JobView>, BrokerError> {
        let row: Option<ViewRow> = self.see(queue, &VIEW_FIELDS, [id.as_str()], 0).await?.pop();
        Ok(row.and_then(|row| record::view(queue, id.clone(), &row)))
    }

    /// Values of the records with these ids, which may well be so many bytes.
    async fn see<T: FromRedisValue>(
        &self,
        queue: &str,
        fields: &[&str],
        ids: impl IntoIterator<Item = &str> + Send,
        bytes: usize,
    ) -> Result<Vec<T>, BrokerError> {
        let mut call = self.call(&scripts::SEE, queue);
        call.arg(fields.len()).arg(fields).answers(bytes);
        for id in ids {
            call.arg(id);
        }
        self.link.invoke(&call).await
    }

    /// A field of the job with this id, where it has one and is in a state that will do.
    async fn field(
        &self,
        id: &JobId,
        name: &str,
        will_do: impl Fn(State) -> bool + Send,
    ) -> Result<Option<Vec<u8>>, BrokerError> {
        for queue in self.queue_names().await? {
            type Row = (Option<String>, Option<Vec<u8>>);
            let row = self.see::<Row>(&queue, &["state", name], [id.as_str()], BATCH_BYTES).await?.pop();
            if let Some((Some(state), value)) = row {
                let fits = state.parse().is_ok_and(&will_do);
                return Ok(value.filter(|_| fits));
            }
        }
        Ok(None)
    }

    /// Shows every job that matches, with its queue, a page at a time: what its indexes hold now.
    async fn visit(&self, filter: &JobFilter, mut show: impl FnMut(&str, Seen) + Send) -> Result<(), BrokerError> {
        let queues = match &filter.queue {
            Some(queue) => vec![queue.clone()],
            None => self.queue_names().await?,
        };
        for queue in &queues {
            for state in State::ALL.into_iter().filter(|state| filter.state.is_none_or(|wanted| wanted == *state)) {
                for index in indexes(queue, state) {
                    self.visit_index(queue, &index, filter, &mut show).await?;
                }
            }
        }
        Ok(())
    }

    async fn visit_index(
        &self,
        queue: &str,
        index: &str,
        filter: &JobFilter,
        show: &mut (impl FnMut(&str, Seen) + Send),
    ) -> Result<(), BrokerError> {
        for start in (0..).step_by(PAGE) {
            let mut command = redis::cmd("ZRANGE");
            command.arg(index).arg(start).arg(start + PAGE - 1);
            let ids: Vec<String> = self.link.query(&command).await?;
            if ids.is_empty() {
                break;
            }
            let rows: Vec<SeenRow> = self.see(queue, &SEEN_FIELDS, ids.iter().map(String::as_str), 0).await?;
            // An id that is none was not put there by us, and cannot be asked for.
            let seen = ids.iter().zip(rows).filter_map(|(id, row)| Some(Seen::new(id.parse().ok()?, row)));
            seen.filter(|seen| seen.fits(filter)).for_each(|seen| show(queue, seen));
        }
        Ok(())
    }

    /// Since when the job with this id waits in the queue.
    async fn queued_since(&self, queue: &str, id: &str) -> Result<Option<Timestamp>, BrokerError> {
        type Row = (Option<i64>, Option<i64>);
        let row = self.see::<Row>(queue, &["at", "run_at"], [id], 0).await?.pop();
        Ok(row.and_then(|(at, run_at)| run_at.or(at)).map(Timestamp))
    }

    /// As [`RedisBroker::by_hand`], for a script that answers 1 for what it has done.
    async fn done_by_hand(&self, ids: &[JobId], script: &'static Script) -> Result<Vec<bool>, BrokerError> {
        let answers = self.by_hand(ids, |queue| self.call(script, queue)).await?;
        Ok(answers.into_iter().map(|answer| answer == 1).collect())
    }

    /// Runs a script on ids, in the first queue by name that has each, and answers what it says of each: -1 is that it is
    /// in none.
    async fn by_hand(&self, ids: &[JobId], call: impl Fn(&str) -> Call + Send) -> Result<Vec<i64>, BrokerError> {
        let mut done = vec![-1; ids.len()];
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
                    done[place] = answer;
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

/// What a listing looks at in each job, and the values of these fields.
const SEEN_FIELDS: [&str; 5] = ["at", "task", "outcome", "fingerprint", "finished"];
type SeenRow = (Option<i64>, Option<String>, Option<String>, Option<String>, Option<i64>);

/// A job as a listing sees it.
struct Seen {
    id: JobId,
    at: i64,
    task: String,
    outcome: String,
    fingerprint: String,
    finished: Timestamp,
}

impl Seen {
    fn new(id: JobId, (at, task, outcome, fingerprint, finished): SeenRow) -> Self {
        Self {
            id,
            at: at.unwrap_or_default(),
            task: task.unwrap_or_default(),
            outcome: outcome.unwrap_or_default(),
            fingerprint: fingerprint.unwrap_or_default(),
            finished: Timestamp(finished.unwrap_or_default()),
        }
    }

    fn fits(&self, filter: &JobFilter) -> bool {
        filter.task.as_ref().is_none_or(|task| *task == self.task)
            && filter.outcome.is_none_or(|outcome| outcome.as_str() == self.outcome)
            && filter.fingerprint.as_ref().is_none_or(|print| *print == self.fingerprint)
    }
}

/// The indexes a job in this state can be found in.
fn indexes(queue: &str, state: State) -> Vec<String> {
    let keys = Keys::of(queue);
    let mut indexes = vec![keys.index(state)];
    if state == State::Queued {
        indexes.push(keys.all_held());
    }
    indexes
}
