//! Promote: what has become due is made available, and what has passed goes. And how long an idle worker may wait for it.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Result};

use super::cron::fire_due;
use super::ends::{LEAVING, Leaving};
use super::limits::{NEVER, QUEUE};
use super::queue::{Queue, Queues};
use crate::broker::{Promoted, Retention};
use crate::clock::Timestamp;
use crate::policy::KEEP_EXPIRED;
use crate::state::State;

/// The most jobs of a queue that one call of promote moves, and the most records it removes, so that a million jobs due
/// at one instant do not keep everybody else waiting.
const PROMOTED_AT_ONCE: i64 = 10_000;

pub(super) fn promote(queues: &mut Queues<'_>, names: &[String], retention: &Retention) -> Result<Promoted> {
    let mut promoted = Promoted::default();
    for name in names {
        let queue = queues.of(name)?;
        // Before anything is made available: what is too late does not start.
        expire_late(queue)?;
        promoted.moved += queue_up_due(queue)?;
        let_back_due(queue)?;
        forget_ended(queue)?;
        queue.forget_ended_batches(PROMOTED_AT_ONCE)?;
        forget_dead(queue, retention)?;
        queue.forget_passed_uniques(PROMOTED_AT_ONCE)?;
        queue.forget_unused_limits()?;
        queue.forget_passed_turns()?;
        fire_due(queues, name)?;
        let queue = queues.of(name)?;
        let next = next(queue)?.map(|at| at.until_from(queue.now));
        promoted.next = promoted.next.into_iter().chain(next).min();
    }
    Ok(promoted)
}

fn expire_late(queue: &mut Queue<'_>) -> Result<()> {
    let late: Vec<Leaving> = queue
        .file
        .prepare_cached(&format!(
            "SELECT {LEAVING} FROM jobs
             WHERE queue = ?1 AND start_by <= ?2 AND starts = 0 AND state IN ('scheduled', 'queued')
             ORDER BY start_by, id LIMIT ?3"
        ))?
        .query_map((&queue.name, queue.now, PROMOTED_AT_ONCE), Leaving::read)?
        .collect::<Result<_>>()?;
    late.iter().try_for_each(|job| queue.end_unrun(job, State::Expired, KEEP_EXPIRED))
}

/// Queues scheduled jobs that are due, the earliest first; answers how many.
fn queue_up_due(queue: &mut Queue<'_>) -> Result<usize> {
    let due: Vec<(i64, i32, Option<String>)> = queue
        .file
        .prepare_cached(
            "SELECT job, priority, key FROM jobs
             WHERE queue = ?1 AND state = 'scheduled' AND run_at <= ?2 ORDER BY run_at, id LIMIT ?3",
        )?
        .query_map((&queue.name, queue.now, PROMOTED_AT_ONCE), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    let mut queue_up = queue.file.prepare_cached("UPDATE jobs SET state = 'queued', place = ?2 WHERE job = ?1")?;
    for (job, priority, key) in &due {
        queue_up.execute((job, queue.place(*priority, key.as_deref())?))?;
    }
    queue.wake |= !due.is_empty();
    Ok(due.len())
}

fn let_back_due(queue: &mut Queue<'_>) -> Result<()> {
    let due: Vec<String> = queue
        .file
        .prepare_cached("SELECT name FROM usage WHERE queue = ?1 AND again_at <= ?2 ORDER BY again_at, name LIMIT ?3")?
        .query_map((&queue.name, queue.now, PROMOTED_AT_ONCE), |row| row.get(0))?
        .collect::<Result<_>>()?;
    for name in &due {
        if name == QUEUE {
            queue.look_no_more(name)?;
            queue.wake = true;
        } else if queue.let_back(name, PROMOTED_AT_ONCE)? == PROMOTED_AT_ONCE {
            queue.look_again(name, queue.now.0)?;
        }
    }
    Ok(())
}

/// Forgets ended jobs that are kept no longer.
fn forget_ended(queue: &Queue<'_>) -> Result<()> {
    // The states stand in the text of the statements, because that is how SQLite finds the index of each.
    for state in ["succeeded", "cancelled", "expired"] {
        queue
            .file
            .prepare_cached(&format!(
                "DELETE FROM jobs WHERE job IN
                     (SELECT job FROM jobs WHERE queue = ?1 AND state = '{state}' AND expires_at <= ?2 LIMIT ?3)"
            ))?
            .execute((&queue.name, queue.now, PROMOTED_AT_ONCE))?;
    }
    Ok(())
}

/// Forgets dead jobs that are too old; then, while there are too many bytes of them, the oldest.
fn forget_dead(queue: &mut Queue<'_>, retention: &Retention) -> Result<()> {
    let oldest = |queue: &Queue<'_>, before, limit| -> Result<Vec<Leaving>> {
        queue
            .file
            .prepare_cached(&format!(
                "SELECT {LEAVING} FROM jobs WHERE queue = ?1 AND state = 'dead' AND finished_at <= ?2
                 ORDER BY finished_at, id LIMIT ?3"
            ))?
            .query_map((&queue.name, before, limit), Leaving::read)?
            .collect()
    };
    let span = i64::try_from(retention.dead_for.as_micros()).unwrap_or(i64::MAX);
    let too_old = oldest(queue, queue.now.0.saturating_sub(span), PROMOTED_AT_ONCE)?;
    too_old.iter().try_for_each(|job| queue.forget(job))?;
    let most = i64::try_from(retention.dead_bytes).unwrap_or(i64::MAX);
    for _ in 0..PROMOTED_AT_ONCE {
        if queue.row().dead_bytes <= most {
            break;
        }
        match oldest(queue, i64::MAX, 1)?.first() {
            Some(job) => queue.forget(job)?,
            None => queue.row_mut().dead_bytes = 0,
        }
    }
    Ok(())
}

/// When something is due next: a scheduled job, a lease's end, a held or periodic job, a job that expires.
fn next(queue: &Queue<'_>) -> Result<Option<Timestamp>> {
    queue
        .file
        .prepare_cached(
            "SELECT min(at) FROM (SELECT min(run_at) AS at FROM jobs WHERE queue = ?1 AND state = 'scheduled'
                 UNION ALL SELECT min(lease_until) FROM jobs WHERE queue = ?1 AND state = 'running'
                 UNION ALL SELECT min(again_at) FROM usage WHERE queue = ?1 AND again_at < ?2
                 UNION ALL SELECT min(next_at) FROM crons WHERE queue = ?1
                 UNION ALL SELECT min(start_by) FROM jobs
                     WHERE queue = ?1 AND start_by IS NOT NULL AND starts = 0 AND state IN ('scheduled', 'queued'))",
        )?
        .query_row((&queue.name, NEVER), |row| row.get(0))
}

/// How long until a worker may take or promote something in these queues; `None` if nothing waits there.
pub(super) fn ready(view: &Connection, now: Timestamp, names: &[String]) -> Result<Option<Duration>> {
    let mut promotable = view.prepare_cached(
        "SELECT min(at) FROM (SELECT min(run_at) AS at FROM jobs WHERE queue = ?1 AND state = 'scheduled'
             UNION ALL SELECT min(again_at) FROM usage WHERE queue = ?1 AND again_at < ?2
             UNION ALL SELECT min(next_at) FROM crons WHERE queue = ?1
             UNION ALL SELECT min(start_by) FROM jobs
                 WHERE queue = ?1 AND start_by IS NOT NULL AND starts = 0 AND state IN ('scheduled', 'queued'))",
    )?;
    let mut soonest: Option<Timestamp> = None;
    for name in names {
        let mut queue = Queue::open(view, now, name)?;
        let takeable = if queue.has_queued()? {
            let room = queue.room(QUEUE)?;
            if room.free > 0 { Some(now) } else { (room.next != NEVER).then_some(Timestamp(room.next)) }
        } else {
            None
        };
        let promotable: Option<Timestamp> = promotable.query_row((name, NEVER), |row| row.get(0)).optional()?.flatten();
        soonest = soonest.into_iter().chain(takeable).chain(promotable).min();
    }
    Ok(soonest.map(|at| at.until_from(now)))
}
