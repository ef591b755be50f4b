//! How jobs leave where they wait, and end without a run.

use std::time::Duration;

use rusqlite::{Result, Row};

use super::queue::Queue;
use super::uniques::TIME;
use crate::clock::Timestamp;
use crate::flow::Ending;
use crate::job::JobId;
use crate::state::State;

/// What has to be known of a job that leaves: a row of [`LEAVING`].
pub(super) struct Leaving {
    pub(super) job: i64,
    pub(super) id: JobId,
    pub(super) state: State,
    task: String,
    key: Option<String>,
    held: Option<String>,
    unique_key: Option<String>,
    unique_scope: Option<String>,
    pub(super) batch: Option<String>,
    pub(super) enqueued_at: Timestamp,
    /// Of its payload and history.
    bytes: i64,
}

/// What [`Leaving::read`] reads, of `jobs`.
pub(super) const LEAVING: &str = "job, id, state, task, key, held, unique_key, unique_scope, batch, enqueued_at, payload_bytes + length(history) AS bytes";

impl Leaving {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            job: row.get("job")?,
            id: row.get("id")?,
            state: row.get("state")?,
            task: row.get("task")?,
            key: row.get("key")?,
            held: row.get("held")?,
            unique_key: row.get("unique_key")?,
            unique_scope: row.get("unique_scope")?,
            batch: row.get("batch")?,
            enqueued_at: row.get("enqueued_at")?,
            bytes: row.get("bytes")?,
        })
    }
}

impl Queue<'_> {
    /// A job that leaves, as it stands now.
    pub(super) fn leaving(&self, job: i64) -> Result<Leaving> {
        self.file.prepare_cached(&format!("SELECT {LEAVING} FROM jobs WHERE job = ?1"))?.query_row([job], Leaving::read)
    }

    /// Ends a job that is scheduled or queued, without a run.
    pub(super) fn end_unrun(&mut self, job: &Leaving, state: State, keep: Duration) -> Result<()> {
        self.file
            .prepare_cached(
                "UPDATE jobs SET state = ?2, finished_at = ?3, expires_at = ?4, held = NULL WHERE job = ?1",
            )?
            .execute((job.job, state, self.now, self.now.after(keep)))?;
        self.leave(job)?;
        if job.unique_scope.as_deref() != Some(TIME) {
            self.let_go(&job.id, job.unique_key.as_deref())?;
        }
        match Ending::of(state) {
            Some(ending) => self.member_ended(job.batch.as_deref(), ending),
            None => Ok(()),
        }
    }

    /// Forgets a job that does not run. What it still holds of a unique key it goes on holding.
    pub(super) fn forget(&mut self, job: &Leaving) -> Result<()> {
        self.file.prepare_cached("DELETE FROM jobs WHERE job = ?1")?.execute([job.job])?;
        self.leave(job)
    }

    /// Forgets a job that does not run, because a person wants it; its unique key is free.
    pub(super) fn remove(&mut self, job: &Leaving) -> Result<()> {
        self.forget(job)?;
        self.let_go(&job.id, job.unique_key.as_deref())?;
        // One that had ended was counted when it did.
        if job.state.is_terminal() { Ok(()) } else { self.member_ended(job.batch.as_deref(), Ending::Removed) }
    }

    /// A job that has ended runs again.
    pub(super) fn revive(&mut self, job: &Leaving) -> Result<()> {
        self.leave(job)?;
        self.rejoin(job)?;
        match &job.unique_key {
            Some(unique_key) if job.unique_scope.as_deref() != Some(TIME) => self.take_unique_back(&job.id, unique_key),
            _ => Ok(()),
        }
    }

    /// The job stands no more where it stood.
    fn leave(&mut self, job: &Leaving) -> Result<()> {
        match (job.state, &job.held) {
            (State::Queued, Some(limit)) if !self.holds_any(limit)? => self.look_no_more(limit)?,
            (State::Queued, None) => {
                let names = self.limits_of(&job.task, job.key.as_deref())?;
                self.pass_on(&names, None)?;
            }
            (State::Dead, _) => self.count_dead(-job.bytes),
            _ => {}
        }
        Ok(())
    }

    /// So many more bytes of dead jobs are kept.
    pub(super) fn count_dead(&mut self, bytes: i64) {
        let row = self.row_mut();
        row.dead_bytes += bytes;
    }
}
