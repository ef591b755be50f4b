//! How a job is accepted.

use rusqlite::{Result, named_params};

use super::queue::Queue;
use super::uniques::scope_word;
use crate::broker::Enqueued;
use crate::chain;
use crate::clock::Timestamp;
use crate::job::{JobId, NewJob};
use crate::state::State;

impl Queue<'_> {
    /// Accepts one job, unless one with its id is there already, or another holds its unique key.
    pub(super) fn accept(&mut self, job: &NewJob, batch: Option<&str>) -> Result<Enqueued> {
        let (file, now) = (self.file, self.now);
        // Whatever becomes of the job, the queue is known from now on.
        self.row_mut();
        let none = |id| Ok(Enqueued { id, created: false });
        if self.has_job(&job.id)? {
            return none(job.id.clone());
        }
        if let Some(unique) = &job.unique {
            if let Some(holder) = self.holder(&unique.key)? {
                return none(holder);
            }
            self.take_unique(&job.id, unique)?;
        }
        let run_at = job.run_at.unwrap_or(now).max(now);
        let later = run_at > now;
        // One that is scheduled takes its place when it is promoted.
        let place = if later { 0 } else { self.place(job.options.priority, job.key.as_deref())? };
        self.wake = true;
        let mut insert = file.prepare_cached(
            "INSERT INTO jobs (id, queue, task, state, priority, place, options, payload_bytes, enqueued_at, run_at, key,
                 unique_key, unique_scope, start_by, batch, then_links)
             VALUES (:id, :queue, :task, :state, :priority, :place, :options, :bytes, :now, :run_at, :key,
                 :unique_key, :unique_scope, :start_by, :batch, :then)",
        )?;
        insert.execute(named_params! {
            ":id": job.id, ":queue": self.name, ":task": job.task,
            ":state": if later { State::Scheduled } else { State::Queued },
            ":priority": job.options.priority, ":place": place,
            // A struct of numbers always serialises.
            ":options": serde_json::to_string(&job.options).unwrap_or_default(),
            ":bytes": job.payload.len() as i64, ":now": now, ":run_at": run_at, ":key": job.key,
            ":unique_key": job.unique.as_ref().map(|unique| &unique.key),
            ":unique_scope": job.unique.as_ref().map(|unique| scope_word(unique.scope)),
            ":start_by": job.expires_at.map(|at| at.max(Timestamp(0))),
            ":batch": batch, ":then": chain::encode(&job.then),
        })?;
        file.prepare_cached("INSERT INTO payloads (job, bytes) VALUES (?1, ?2)")?
            .execute((file.last_insert_rowid(), &job.payload))?;
        Ok(Enqueued { id: job.id.clone(), created: true })
    }

    /// Whether there is a job of this id.
    pub(super) fn has_job(&self, id: &JobId) -> Result<bool> {
        self.file
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND queue = ?2)")?
            .query_row((id, &self.name), |row| row.get(0))
    }
}
