//! What people do by hand.

use rusqlite::{OptionalExtension, Result, Row};

use super::ends::{LEAVING, Leaving};
use super::inspect::BY_ID;
use super::limits::QUEUE;
use super::queue::Queues;
use crate::broker::Cancelled;
use crate::flow::Ending;
use crate::job::JobId;
use crate::policy::KEEP_CANCELLED;
use crate::state::State;

/// Answers besides whether a running job is to be ended.
pub(super) fn cancel(queues: &mut Queues<'_>, ids: &[JobId]) -> Result<(Vec<Cancelled>, bool)> {
    let mut ask = queues.file.prepare_cached("UPDATE jobs SET cancel = 1 WHERE job = ?1")?;
    let mut cancelled = Vec::with_capacity(ids.len());
    for id in ids {
        cancelled.push(match find(queues, id)? {
            Some((queue, job)) if matches!(job.state, State::Scheduled | State::Queued) => {
                queues.of(&queue)?.end_unrun(&job, State::Cancelled, KEEP_CANCELLED)?;
                Cancelled::Done
            }
            Some((_, job)) if job.state == State::Running => {
                ask.execute([job.job])?;
                Cancelled::Asked
            }
            _ => Cancelled::Refused,
        });
    }
    let asked = cancelled.contains(&Cancelled::Asked);
    Ok((cancelled, asked))
}

pub(super) fn retry(queues: &mut Queues<'_>, ids: &[JobId]) -> Result<Vec<bool>> {
    // Whoever starts it by hand wants it started, however late.
    let mut retry = queues.file.prepare_cached(
        "UPDATE jobs SET state = 'queued', place = ?2, run_at = ?3, finished_at = NULL, expires_at = NULL,
             start_by = NULL, fingerprint = '', starts = 0, failures = 0, waits = 0, lost = 0
         WHERE job = ?1",
    )?;
    let mut place_of = queues.file.prepare_cached("SELECT priority, key FROM jobs WHERE job = ?1")?;
    let mut retried = Vec::with_capacity(ids.len());
    for id in ids {
        let ended =
            find(queues, id)?.filter(|(_, job)| matches!(job.state, State::Dead | State::Cancelled | State::Expired));
        retried.push(ended.is_some());
        let Some((queue, job)) = ended else { continue };
        let queue = queues.of(&queue)?;
        queue.revive(&job)?;
        let (priority, key): (i32, Option<String>) =
            place_of.query_row([job.job], |row| Ok((row.get(0)?, row.get(1)?)))?;
        retry.execute((job.job, queue.place(priority, key.as_deref())?, queue.now))?;
        queue.wake = true;
    }
    Ok(retried)
}

pub(super) fn remove(queues: &mut Queues<'_>, ids: &[JobId]) -> Result<Vec<bool>> {
    let mut removed = Vec::with_capacity(ids.len());
    for id in ids {
        let idle = find(queues, id)?.filter(|(_, job)| job.state != State::Running);
        removed.push(idle.is_some());
        if let Some((queue, job)) = idle {
            queues.of(&queue)?.remove(&job)?;
        }
    }
    Ok(removed)
}

/// Nobody's turn is passed on: all of them go, and the callbacks of batches that end by it too.
pub(super) fn purge(queues: &mut Queues<'_>, name: &str) -> Result<u64> {
    let file = queues.file;
    file.execute(
        "DELETE FROM uniques WHERE queue = ?1 AND EXISTS (
             SELECT 1 FROM jobs WHERE jobs.id = uniques.id AND jobs.queue = uniques.queue
                 AND jobs.unique_key = uniques.unique_key AND state IN ('scheduled', 'queued')
         )",
        [name],
    )?;
    file.execute("UPDATE usage SET again_at = NULL WHERE queue = ?1 AND name <> ?2", [name, QUEUE])?;
    let mut removed = 0;
    loop {
        let of_batches: Vec<String> = file
            .prepare_cached(
                "SELECT batch FROM jobs WHERE queue = ?1 AND batch IS NOT NULL AND state IN ('scheduled', 'queued')
                 ORDER BY held IS NOT NULL, state, iif(state = 'queued', -priority, run_at),
                     iif(state = 'queued', place, 0), id",
            )?
            .query_map([name], |row| row.get(0))?
            .collect::<Result<_>>()?;
        // One state at a time: each then finds its jobs by an index of its own.
        for which in ["state = 'scheduled'", "state = 'queued' AND held IS NULL", "held IS NOT NULL"] {
            removed += file.execute(&format!("DELETE FROM jobs WHERE queue = ?1 AND {which}"), [name])?;
        }
        if of_batches.is_empty() {
            return Ok(removed as u64);
        }
        for batch in of_batches {
            queues.of(name)?.member_ended(Some(&batch), Ending::Removed)?;
        }
    }
}

/// The job that an id means, with its queue.
fn find(queues: &Queues<'_>, id: &JobId) -> Result<Option<(String, Leaving)>> {
    let read = |row: &Row<'_>| Ok((row.get("queue")?, Leaving::read(row)?));
    queues
        .file
        .prepare_cached(&format!("SELECT queue, {LEAVING} FROM jobs WHERE job = {BY_ID}"))?
        .query_row([id], read)
        .optional()
}
