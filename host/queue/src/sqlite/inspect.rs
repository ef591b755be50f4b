//! What people ask, and the few things they do by hand.

use rusqlite::{Connection, OptionalExtension, Result, Transaction, named_params};

use super::record::{VIEW, view};
use super::verbs::Places;
use crate::broker::{JobFilter, QueueCounts};
use crate::clock::Timestamp;
use crate::job::{JobId, JobView, State};
use crate::policy::KEEP_CANCELLED;

/// The row that an id means: the one in the first queue by name.
const BY_ID: &str = "(SELECT job FROM jobs WHERE id = ?1 ORDER BY queue LIMIT 1)";

pub(super) fn job(file: &Connection, id: &JobId) -> Result<Option<JobView>> {
    file.prepare_cached(&format!("SELECT {VIEW} FROM jobs WHERE job = {BY_ID}"))?.query_row([id], view).optional()
}

pub(super) fn payload(file: &Connection, id: &JobId) -> Result<Option<Vec<u8>>> {
    file.prepare_cached(&format!("SELECT bytes FROM payloads WHERE job = {BY_ID}"))?
        .query_row([id], |row| row.get(0))
        .optional()
}

pub(super) fn result(file: &Connection, id: &JobId) -> Result<Option<Vec<u8>>> {
    let reply = file
        .prepare_cached(&format!("SELECT reply FROM jobs WHERE job = {BY_ID}"))?
        .query_row([id], |row| row.get::<_, Option<Vec<u8>>>(0))
        .optional()?;
    Ok(reply.flatten())
}

pub(super) fn jobs(file: &Connection, filter: &JobFilter) -> Result<Vec<JobView>> {
    file.prepare_cached(&format!(
        "SELECT {VIEW} FROM jobs
         WHERE (:queue IS NULL OR queue = :queue) AND (:task IS NULL OR task = :task)
             AND (:state IS NULL OR state = :state) AND (:outcome IS NULL OR outcome = :outcome)
         ORDER BY enqueued_at DESC, id DESC, queue DESC LIMIT :limit"
    ))?
    .query_map(
        named_params! {
            ":queue": filter.queue, ":task": filter.task, ":state": filter.state,
            ":outcome": filter.outcome.map(|kind| kind.as_str()),
            ":limit": i64::try_from(filter.limit).unwrap_or(i64::MAX),
        },
        view,
    )?
    .collect()
}

pub(super) fn queues(file: &Connection) -> Result<Vec<QueueCounts>> {
    let count = |state| format!("(SELECT count(*) FROM jobs WHERE queue = name AND state = '{state}')");
    file.prepare_cached(&format!(
        "SELECT name, {}, {}, {}, {}, {}, {},
             (SELECT run_at FROM jobs WHERE queue = name AND state = 'queued' ORDER BY priority DESC, place LIMIT 1)
         FROM queues ORDER BY name",
        count(State::Scheduled),
        count(State::Queued),
        count(State::Running),
        count(State::Succeeded),
        count(State::Dead),
        count(State::Cancelled),
    ))?
    .query_map([], |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(QueueCounts {
            queue: row.get(0)?,
            scheduled: count(1)?,
            queued: count(2)?,
            running: count(3)?,
            succeeded: count(4)?,
            dead: count(5)?,
            cancelled: count(6)?,
            oldest_queued_at: row.get(7)?,
        })
    })?
    .collect()
}

pub(super) fn cancel(file: &Transaction<'_>, now: Timestamp, ids: &[JobId]) -> Result<Vec<bool>> {
    let mut cancel = file.prepare_cached(&format!(
        "UPDATE jobs SET state = 'cancelled', finished_at = ?2, expires_at = ?3
         WHERE job = {BY_ID} AND state IN ('scheduled', 'queued')"
    ))?;
    ids.iter().map(|id| Ok(cancel.execute((id, now, now.after(KEEP_CANCELLED)))? == 1)).collect()
}

pub(super) fn retry(file: &Transaction<'_>, now: Timestamp, ids: &[JobId]) -> Result<Vec<bool>> {
    let mut find = file.prepare_cached(&format!(
        "SELECT job, queue FROM jobs WHERE job = {BY_ID} AND state IN ('dead', 'cancelled')"
    ))?;
    let mut retry = file.prepare_cached(
        "UPDATE jobs SET state = 'queued', place = ?2, run_at = ?3, finished_at = NULL,
             expires_at = NULL, starts = 0, failures = 0, waits = 0
         WHERE job = ?1",
    )?;
    let mut places = Places::new(file);
    let mut retried = Vec::with_capacity(ids.len());
    for id in ids {
        let found: Option<(i64, String)> = find.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((job, queue)) = &found {
            retry.execute((job, places.next(queue)?, now))?;
        }
        retried.push(found.is_some());
    }
    places.write()?;
    Ok(retried)
}

pub(super) fn remove(file: &Transaction<'_>, ids: &[JobId]) -> Result<Vec<bool>> {
    let mut remove = file.prepare_cached(&format!("DELETE FROM jobs WHERE job = {BY_ID} AND state <> 'running'"))?;
    ids.iter().map(|id| Ok(remove.execute([id])? == 1)).collect()
}

pub(super) fn purge(file: &Transaction<'_>, queue: &str) -> Result<u64> {
    // One state at a time: each then finds its jobs by an index of its own.
    let scheduled = "DELETE FROM jobs WHERE queue = ?1 AND state = 'scheduled'";
    let queued = "DELETE FROM jobs WHERE queue = ?1 AND state = 'queued'";
    let removed = file.execute(scheduled, [queue])? + file.execute(queued, [queue])?;
    Ok(removed as u64)
}
