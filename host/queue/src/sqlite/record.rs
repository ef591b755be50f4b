//! A job's row, read as a lease's job and as the view that people see.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Result, Row};

use crate::chain;
use crate::clock::Timestamp;
use crate::history::History;
use crate::job::{Job, JobId, JobOptions, JobView};
use crate::policy::Counters;
use crate::state::State;

/// What [`job`] reads, of `jobs`.
pub(super) const JOB: &str = "job, id, queue, task, enqueued_at, run_at, options, starts, failures, waits, lost, history, \
                              (SELECT bytes FROM payloads WHERE payloads.job = jobs.job) AS bytes";

/// A row's key and the job in it; `Err` with the reason where its options cannot be read.
pub(super) fn job(row: &Row<'_>) -> Result<(i64, std::result::Result<Job, String>)> {
    let options: String = row.get("options")?;
    let job = match serde_json::from_str(&options) {
        Err(error) => Err(format!("its options cannot be read: {error}")),
        Ok(options) => Ok(Job {
            id: row.get("id")?,
            queue: row.get("queue")?,
            task: row.get("task")?,
            payload: row.get("bytes")?,
            enqueued_at: row.get("enqueued_at")?,
            run_at: row.get("run_at")?,
            options,
            counters: Counters {
                starts: row.get("starts")?,
                failures: row.get("failures")?,
                waits: row.get("waits")?,
                lost: row.get("lost")?,
            },
            history: history(row)?,
        }),
    };
    Ok((row.get("job")?, job))
}

/// What [`view`] reads, of `jobs`.
pub(super) const VIEW: &str = "id, task, queue, state, priority, enqueued_at, run_at, finished_at, payload_bytes, \
                               options, starts, key, unique_key, start_by, held, progress, cancel, history, \
                               batch, then_links, length(reply) AS reply_bytes";

/// The view of a row.
pub(super) fn view(row: &Row<'_>) -> Result<JobView> {
    let options: String = row.get("options")?;
    let options: JobOptions = serde_json::from_str(&options).unwrap_or_default();
    let state: State = row.get("state")?;
    let then: String = row.get("then_links")?;
    Ok(JobView {
        id: row.get("id")?,
        task: row.get("task")?,
        queue: row.get("queue")?,
        state,
        priority: row.get("priority")?,
        enqueued_at: row.get("enqueued_at")?,
        run_at: row.get("run_at")?,
        finished_at: row.get("finished_at")?,
        payload_bytes: row.get::<_, i64>("payload_bytes")?.unsigned_abs(),
        max_attempts: options.max_attempts,
        attempts_started: row.get("starts")?,
        key: row.get("key")?,
        unique_key: row.get("unique_key")?,
        expires_at: row.get("start_by")?,
        held_by: row.get("held")?,
        progress: row.get("progress")?,
        cancelling: state == State::Running && row.get("cancel")?,
        attempts: history(row)?.into_attempts(),
        result_bytes: row.get::<_, Option<i64>>("reply_bytes")?.map(i64::unsigned_abs),
        batch: row.get("batch")?,
        then: chain::decode(&then),
    })
}

pub(super) fn history(row: &Row<'_>) -> Result<History> {
    Ok(History::decode(row.get_ref("history")?.as_blob()?))
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for JobId {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        self.as_str().to_sql()
    }
}

impl FromSql for JobId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|reason: String| FromSqlError::Other(reason.into()))
    }
}

impl ToSql for State {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        self.as_str().to_sql()
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|reason: String| FromSqlError::Other(reason.into()))
    }
}
