//! What people ask.

use afresh_protocol::OutcomeKind;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Error, OptionalExtension, Result, named_params};

use super::record::{VIEW, history, view};
use crate::broker::{Failures, JobFilter, QueueCounts};
use crate::job::{JobId, JobView};
use crate::log::JobLog;
use crate::state::State;

/// The row that an id means: the one in the first queue by name.
pub(super) const BY_ID: &str = "(SELECT job FROM jobs WHERE id = ?1 ORDER BY queue LIMIT 1)";

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

pub(super) fn log(file: &Connection, id: &JobId) -> Result<JobLog> {
    let bytes: Option<Vec<u8>> = file
        .prepare_cached(&format!("SELECT bytes FROM logs WHERE job = {BY_ID}"))?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(JobLog::decode(&bytes.unwrap_or_default()))
}

pub(super) fn jobs(file: &Connection, filter: &JobFilter) -> Result<Vec<JobView>> {
    file.prepare_cached(&format!(
        "SELECT {VIEW} FROM jobs
         WHERE (:queue IS NULL OR queue = :queue) AND (:task IS NULL OR task = :task)
             AND (:state IS NULL OR state = :state) AND (:outcome IS NULL OR outcome = :outcome)
             AND (:fingerprint IS NULL OR fingerprint = :fingerprint)
         ORDER BY enqueued_at DESC, id DESC, queue DESC LIMIT :limit"
    ))?
    .query_map(
        named_params! {
            ":queue": filter.queue, ":task": filter.task, ":state": filter.state,
            ":outcome": filter.outcome.map(|kind| kind.as_str()), ":fingerprint": filter.fingerprint,
            ":limit": i64::try_from(filter.limit).unwrap_or(i64::MAX),
        },
        view,
    )?
    .collect()
}

/// Groups the dead by what they died of; the newest of each group stands for it.
pub(super) fn failures(file: &Connection, filter: &JobFilter) -> Result<Vec<Failures>> {
    file.prepare_cached(
        "SELECT jobs.task, jobs.outcome, jobs.fingerprint, size, jobs.id, jobs.finished_at, history FROM (
             SELECT job AS newest, count(*) OVER alike AS size, row_number() OVER (
                     PARTITION BY task, outcome, fingerprint ORDER BY finished_at DESC, id DESC, queue
                 ) AS age
             FROM jobs
             WHERE state = 'dead' AND (:queue IS NULL OR queue = :queue) AND (:task IS NULL OR task = :task)
                 AND (:outcome IS NULL OR outcome = :outcome)
                 AND (:fingerprint IS NULL OR fingerprint = :fingerprint)
             WINDOW alike AS (PARTITION BY task, outcome, fingerprint)
         ) JOIN jobs ON jobs.job = newest
         WHERE age = 1 ORDER BY size DESC, jobs.task, jobs.outcome, jobs.fingerprint LIMIT :limit",
    )?
    .query_map(
        named_params! {
            ":queue": filter.queue, ":task": filter.task,
            ":outcome": filter.outcome.map(|kind| kind.as_str()), ":fingerprint": filter.fingerprint,
            ":limit": i64::try_from(filter.limit).unwrap_or(i64::MAX),
        },
        |row| {
            let newest = history(row)?.into_attempts().into_iter().next();
            let message = newest.and_then(|attempt| attempt.error).map(|error| error.message);
            Ok(Failures {
                task: row.get(0)?,
                kind: outcome(row.get_ref(1)?.as_str()?)?,
                fingerprint: row.get(2)?,
                jobs: row.get::<_, i64>(3)?.unsigned_abs(),
                newest: row.get(4)?,
                newest_at: row.get(5)?,
                message: message.unwrap_or_default(),
            })
        },
    )?
    .collect()
}

fn outcome(word: &str) -> Result<OutcomeKind> {
    word.parse().map_err(|_| Error::from(FromSqlError::Other(format!("`{word}` is not an outcome").into())))
}

pub(super) fn queues(file: &Connection) -> Result<Vec<QueueCounts>> {
    const HELD: &str = "(SELECT count(*) FROM jobs WHERE queue = name AND held IS NOT NULL)";
    // As the index of each state says it, so that counting walks nothing else.
    let count = |state: State| {
        let not_held = if state == State::Queued { " AND held IS NULL" } else { "" };
        format!("(SELECT count(*) FROM jobs WHERE queue = name AND state = '{state}'{not_held})")
    };
    file.prepare_cached(&format!(
        "SELECT name, {}, {} + {HELD}, {}, {}, {}, {}, {}, {HELD},
             (SELECT run_at FROM jobs WHERE queue = name AND state = 'queued' AND held IS NULL
                 ORDER BY priority DESC, place, id LIMIT 1)
         FROM queues ORDER BY name",
        count(State::Scheduled),
        count(State::Queued),
        count(State::Running),
        count(State::Succeeded),
        count(State::Dead),
        count(State::Cancelled),
        count(State::Expired),
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
            expired: count(7)?,
            held: count(8)?,
            oldest_queued_at: row.get(9)?,
        })
    })?
    .collect()
}
