//! Batches: accepted, shown and cancelled. Each is one row; what becomes of it is in `flows`.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Result, Row};

use super::SqliteBroker;
use super::ends::{LEAVING, Leaving};
use super::queue::Queues;
use crate::batch::Batch;
use crate::broker::{BrokerError, Enqueued};
use crate::chain;
use crate::flow::{BatchCancelled, BatchJob, BatchState, BatchView, Flows, Taken};
use crate::job::{JobId, PAYLOAD_CEILING};
use crate::policy::KEEP_CANCELLED;
use crate::state::State;

#[async_trait]
impl Flows for SqliteBroker {
    async fn enqueue_batch(&self, batch: &Batch) -> std::result::Result<Enqueued, BrokerError> {
        batch.validate(PAYLOAD_CEILING).map_err(BrokerError::Invalid)?;
        let whole = batch.clone();
        let created = self.change(move |queues| enqueue(queues, &whole)).await?;
        let created = created.map_err(|taken| taken.error(batch))?;
        Ok(Enqueued { id: batch.id.clone(), created })
    }

    async fn batch(&self, id: &JobId) -> std::result::Result<Option<BatchView>, BrokerError> {
        let id = id.clone();
        self.store.read(move |file, _| find(file, &id)).await
    }

    async fn batch_jobs(&self, id: &JobId) -> std::result::Result<Vec<BatchJob>, BrokerError> {
        let id = id.clone();
        self.store.read(move |file, _| jobs(file, &id)).await
    }

    async fn batches(&self, limit: usize) -> std::result::Result<Vec<BatchView>, BrokerError> {
        self.store.read(move |file, _| newest(file, limit)).await
    }

    async fn cancel_batch(&self, id: &JobId) -> std::result::Result<Option<BatchCancelled>, BrokerError> {
        let id = id.clone();
        let cancelled = self.change(move |queues| cancel(queues, &id)).await?;
        if cancelled.is_some_and(|cancelled| cancelled.asked > 0) {
            self.asked.notify_waiters();
        }
        Ok(cancelled)
    }
}

/// Accepts all of it, or nothing; false where it is there already, `Err` with what is taken.
fn enqueue(queues: &mut Queues<'_>, batch: &Batch) -> Result<std::result::Result<bool, Taken>> {
    let (file, now) = (queues.file, queues.now);
    let queue = queues.of(&batch.queue)?;
    // Whatever becomes of the batch, the queue is known from now on.
    queue.row_mut();
    let mut exists = file.prepare_cached("SELECT EXISTS (SELECT 1 FROM batches WHERE id = ?1 AND queue = ?2)")?;
    for (part, parent) in batch.tree() {
        if exists.query_row((&part.id, &batch.queue), |row| row.get(0))? {
            return Ok(if parent.is_none() { Ok(false) } else { Err(Taken::Batch(part.id.to_string())) });
        }
    }
    let members = batch.members();
    let mut uniques = std::collections::HashMap::new();
    for (_, job) in &members {
        if queue.has_job(&job.id)? {
            return Ok(Err(Taken::Job(job.id.to_string())));
        }
        if let Some(unique) = &job.unique {
            let holder = uniques.insert(&unique.key, &job.id).cloned().or(queue.holder(&unique.key)?);
            if let Some(holder) = holder {
                return Ok(Err(Taken::Unique { key: unique.key.clone(), holder: holder.to_string() }));
            }
        }
    }
    for id in batch.ids_to_come() {
        if queue.has_job(id)? {
            return Ok(Err(Taken::Job(id.to_string())));
        }
    }
    let mut insert = file.prepare_cached(
        "INSERT INTO batches (id, queue, parent, state, total, pending, callback, tail, enqueued_at)
         VALUES (?1, ?2, ?3, 'open', ?4, ?4, ?5, ?6, ?7)",
    )?;
    for (part, parent) in batch.tree() {
        let (total, parent) = (part.jobs.len() as i64, parent.map(|parent| &parent.id));
        insert.execute((&part.id, &batch.queue, parent, total, part.callback(), part.callback_tail(), now))?;
    }
    queue.accept_all(members.into_iter().map(|(part, job)| (job, Some(part.id.as_str()))))?;
    Ok(Ok(true))
}

/// Cancels a batch and those that stand in it; `None` if there is no open one of this id.
fn cancel(queues: &mut Queues<'_>, id: &JobId) -> Result<Option<BatchCancelled>> {
    let file = queues.file;
    let found: Option<(i64, String, bool)> = file
        .prepare_cached("SELECT batch, queue, state = 'open' FROM batches WHERE id = ?1 ORDER BY queue LIMIT 1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((batch, name, true)) = found else { return Ok(None) };
    // All of them first: none of them enqueues anything any more.
    let mut open = vec![(batch, id.clone())];
    let mut nested = file.prepare_cached(
        "SELECT batch, id FROM batches WHERE queue = ?1 AND parent = ?2 AND state = 'open' ORDER BY batch",
    )?;
    let mut mark = file.prepare_cached("UPDATE batches SET state = ?2 WHERE batch = ?1")?;
    let mut next = 0;
    while let Some((batch, id)) = open.get(next).cloned() {
        mark.execute((batch, BatchState::Cancelled.as_str()))?;
        let inside = nested.query_map((&name, &id), |row| Ok((row.get(0)?, row.get(1)?)))?;
        open.extend(inside.collect::<Result<Vec<_>>>()?);
        next += 1;
    }
    let mut ask = file.prepare_cached("UPDATE jobs SET cancel = 1 WHERE job = ?1")?;
    let mut of_batch =
        file.prepare_cached(&format!("SELECT {LEAVING} FROM jobs WHERE queue = ?1 AND batch = ?2 ORDER BY job"))?;
    let mut done = BatchCancelled { cancelled: 0, asked: 0 };
    let queue = queues.of(&name)?;
    for (_, id) in open {
        let jobs: Vec<Leaving> = of_batch.query_map((&name, &id), Leaving::read)?.collect::<Result<_>>()?;
        for job in jobs {
            match job.state {
                State::Scheduled | State::Queued => {
                    // Read anew: the end of another may have let it back.
                    queue.end_unrun(&queue.leaving(job.job)?, State::Cancelled, KEEP_CANCELLED)?;
                    done.cancelled += 1;
                }
                State::Running => {
                    ask.execute([job.job])?;
                    done.asked += 1;
                }
                _ => {}
            }
        }
    }
    Ok(Some(done))
}

fn jobs(file: &Connection, id: &JobId) -> Result<Vec<BatchJob>> {
    file.prepare_cached(
        "SELECT jobs.id, task, jobs.state AS state FROM jobs JOIN batches ON batches.id = jobs.batch AND batches.queue = jobs.queue
             AND jobs.enqueued_at >= batches.enqueued_at
         WHERE batches.batch = (SELECT batch FROM batches WHERE id = ?1 ORDER BY queue LIMIT 1) ORDER BY job",
    )?
    .query_map([id], |row| Ok(BatchJob { id: row.get(0)?, task: row.get(1)?, state: row.get(2)? }))?
    .collect()
}

fn find(file: &Connection, id: &JobId) -> Result<Option<BatchView>> {
    let found = file
        .prepare_cached("SELECT * FROM batches WHERE id = ?1 ORDER BY queue LIMIT 1")?
        .query_row([id], view)
        .optional()?;
    found.map(|view| with_nested(file, view)).transpose()
}

fn newest(file: &Connection, limit: usize) -> Result<Vec<BatchView>> {
    let found: Vec<_> = file
        .prepare_cached(
            "SELECT * FROM batches WHERE parent IS NULL ORDER BY enqueued_at DESC, id DESC, queue DESC LIMIT ?1",
        )?
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], view)?
        .collect::<Result<_>>()?;
    found.into_iter().map(|view| with_nested(file, view)).collect()
}

fn with_nested(file: &Connection, view: BatchView) -> Result<BatchView> {
    let batches = file
        .prepare_cached("SELECT id FROM batches WHERE queue = ?1 AND parent = ?2 ORDER BY batch")?
        .query_map((&view.queue, &view.id), |row| row.get(0))?
        .collect::<Result<_>>()?;
    Ok(BatchView { batches, ..view })
}

fn view(row: &Row<'_>) -> Result<BatchView> {
    let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(BatchView {
        id: row.get("id")?,
        queue: row.get("queue")?,
        parent: row.get("parent")?,
        state: BatchState::of(row.get_ref("state")?.as_str()?).unwrap_or(BatchState::Open),
        total: count("total")?,
        pending: count("pending")?,
        succeeded: count("succeeded")?,
        dead: count("dead")?,
        cancelled: count("cancelled")?,
        expired: count("expired")?,
        removed: count("removed")?,
        enqueued_at: row.get("enqueued_at")?,
        finished_at: row.get("finished_at")?,
        callback: chain::decode(row.get_ref("callback")?.as_str()?).into_iter().next(),
        batches: Vec::new(),
    })
}
