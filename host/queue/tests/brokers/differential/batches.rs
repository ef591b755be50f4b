//! The part of a history that chains and batches play.

use std::collections::HashSet;

use afresh_queue::{Batch, JobId, Link, Member, NewJob};
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::History;
use crate::subject::id;

/// Few, so that histories meet the same batch again and again.
const BATCHES: usize = 12;

impl History<'_> {
    pub(super) async fn enqueue_batch(&mut self) {
        let batch = self.some_batch(1);
        self.step = format!("enqueue {batch:?}");
        let left = self.left.broker.enqueue_batch(&batch).await.map_err(|error| error.to_string());
        let right = self.right.broker.enqueue_batch(&batch).await.map_err(|error| error.to_string());
        self.same(&left, &right).ok();
    }

    pub(super) async fn cancel_batch(&mut self) {
        let id = self.batch_id();
        self.step = format!("cancel the batch {id}");
        both!(self, broker => broker.cancel_batch(&id));
    }

    pub(super) async fn observe_batches(&mut self) {
        let limit = self.random.random_range(0..BATCHES);
        let batches = both!(self, broker => broker.batches(limit));
        let known: Vec<JobId> =
            batches.into_iter().flat_map(|batch| [vec![batch.id], batch.batches].concat()).collect();
        let batch = known.choose(&mut self.random).cloned().unwrap_or_else(|| self.batch_id());
        both!(self, broker => broker.batch(&batch));
        both!(self, broker => broker.batch_jobs(&batch));
    }

    /// What is to follow a job; most often nothing.
    pub(super) fn links(&mut self) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        while self.random.random_bool(0.3) {
            let link = Link {
                key: self.random.random_bool(0.5).then(|| self.key().to_owned()),
                options: self.options(),
                ..Link::new(self.id(), self.task())
            };
            if links.iter().all(|before| before.id != link.id) {
                links.push(link);
            }
        }
        links
    }

    /// Few jobs and shallow, so that often one can be accepted and ends.
    fn some_batch(&mut self, depth: u64) -> Batch {
        let queue = self.queue();
        let mut batch = self.batch_in(queue, depth);
        // Ids are random, and those that stand twice would make it one that is refused at once.
        let mut seen = HashSet::new();
        tidy(&mut batch, &mut seen);
        batch
    }

    fn batch_in(&mut self, queue: &str, depth: u64) -> Batch {
        let mut jobs = Vec::new();
        for job in self.some_jobs(depth).into_iter().take(3) {
            jobs.push(if depth < 3 && self.random.random_bool(0.2) {
                Member::Batch(self.batch_in(queue, depth + 1))
            } else {
                Member::Job(job.queue(queue))
            });
        }
        let callback = NewJob { run_at: None, expires_at: None, unique: None, ..self.some_jobs(depth).remove(0) };
        let then = self.random.random_bool(0.7).then(|| callback.queue(queue));
        Batch { id: self.batch_id(), queue: queue.to_owned(), jobs, then }
    }

    fn batch_id(&mut self) -> JobId {
        id(&format!("batch-{}", self.random.random_range(0..BATCHES)))
    }
}

/// Leaves out what stands twice in a batch.
fn tidy(batch: &mut Batch, seen: &mut HashSet<String>) {
    seen.insert(batch.id.to_string());
    let mut keep = |job: &mut NewJob| {
        let keeps = seen.insert(job.id.to_string());
        job.then.retain(|link| seen.insert(link.id.to_string()));
        keeps
    };
    batch.then = batch.then.take().and_then(|mut callback| keep(&mut callback).then_some(callback));
    batch.jobs.retain_mut(|member| match member {
        Member::Job(job) => keep(job),
        Member::Batch(_) => true,
    });
    batch.jobs.retain_mut(|member| match member {
        Member::Job(_) => true,
        Member::Batch(nested) if seen.contains(nested.id.as_str()) => false,
        Member::Batch(nested) => {
            tidy(nested, seen);
            !nested.jobs.is_empty()
        }
    });
}
