//! A job's row, read as a lease's job and as the view that people see.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Result, Row};

use crate::chain;
use crate::clock::Timestamp;
use crate::history::History;
use crate::job::{Job, JobId, JobOptions, JobView};
use crate::policy::Counters;
use crate::state::State;

/// What [`job`] reads, of `jobs`: the first columns of a statement. By number, because every lease reads them.
pub(super) const JOB: &str =
    "job, id, queue, task, enqueued_at, run_at, options, starts, failures, waits, lost, history";

/// How many columns these are.
pub(super) const JOB_COLUMNS: usize = 12;

/// A row, read as a job, without its payload.
pub(super) struct Record {
    pub(super) row: i64,
    pub(super) job: Job,
    /// Why its options cannot be read, where that is so.
    pub(super) unreadable: Option<String>,
}

pub(super) fn job(row: &Row<'_>) -> Result<Record> {
    let options = serde_json::from_str(row.get_ref(6)?.as_str()?);
    let unreadable = options.as_ref().err().map(|error| format!("its options cannot be read: {error}"));
    let job = Job {
        id: row.get(1)?,
        queue: row.get(2)?,
        task: row.get(3)?,
        payload: Vec::new(),
        enqueued_at: row.get(4)?,
        run_at: row.get(5)?,
        options: options.unwrap_or_default(),
        counters: Counters { starts: row.get(7)?, failures: row.get(8)?, waits: row.get(9)?, lost: row.get(10)? },
        history: History::decode(row.get_ref(11)?.as_blob()?),
    };
    Ok(Record { row: row.get(0)?, job, unreadable })
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
