//! How jobs are accepted.

use std::collections::HashSet;

use rusqlite::Result;

use super::queue::Queue;
use super::rows::Rows;
use super::uniques::scope_word;
use crate::broker::Enqueued;
use crate::chain;
use crate::clock::Timestamp;
use crate::job::{JobId, NewJob};
use crate::state::State;

/// A job on its way into the file.
struct Accepted<'j> {
    new: &'j NewJob,
    state: State,
    place: i64,
    options: String,
    payload_bytes: i64,
    run_at: Timestamp,
    unique_key: Option<&'j str>,
    unique_scope: Option<&'static str>,
    start_by: Option<Timestamp>,
    batch: Option<&'j str>,
    then: String,
}

const JOBS: Rows = Rows {
    before:
        "INSERT INTO jobs (queue, enqueued_at, id, task, state, priority, place, options, payload_bytes, run_at, key,
                 unique_key, unique_scope, start_by, batch, then_links) VALUES",
    row: "(?1, ?2, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    after: "",
};

const PAYLOADS: Rows = Rows { before: "INSERT INTO payloads (job, bytes) VALUES", row: "(?, ?)", after: "" };

impl Queue<'_> {
    /// Accepts one job, unless one with its id is there already, or another holds its unique key: then false.
    pub(super) fn accept(&mut self, job: &NewJob, batch: Option<&str>) -> Result<bool> {
        Ok(self.accept_all([(job, batch)])?.iter().all(|enqueued| enqueued.created))
    }

    /// The same for many, each maybe a member of a batch.
    pub(super) fn accept_all<'j>(
        &mut self,
        jobs: impl IntoIterator<Item = (&'j NewJob, Option<&'j str>)>,
    ) -> Result<Vec<Enqueued>> {
        let file = self.file;
        // Whatever becomes of the jobs, the queue is known from now on.
        self.row_mut();
        let mut known = file.prepare_cached(HAS_JOB)?;
        let (mut enqueued, mut accepted, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
        for (job, batch) in jobs {
            let is_known = ids.contains(&job.id) || known.query_row((&job.id, &self.name), |row| row.get(0))?;
            let mut holder = is_known.then(|| job.id.clone());
            if let Some(unique) = job.unique.as_ref().filter(|_| !is_known) {
                // A key is held by jobs that are in the file.
                self.insert(&std::mem::take(&mut accepted))?;
                holder = self.holder(&unique.key)?;
                if holder.is_none() {
                    self.take_unique(&job.id, unique)?;
                }
            }
            let created = holder.is_none();
            if created {
                accepted.push(self.place_new(job, batch)?);
                ids.insert(&job.id);
            }
            enqueued.push(Enqueued { id: holder.unwrap_or_else(|| job.id.clone()), created });
        }
        self.insert(&accepted)?;
        Ok(enqueued)
    }

    /// Gives a job its place.
    fn place_new<'j>(&mut self, new: &'j NewJob, batch: Option<&'j str>) -> Result<Accepted<'j>> {
        let run_at = new.run_at.unwrap_or(self.now).max(self.now);
        let later = run_at > self.now;
        self.wake = true;
        Ok(Accepted {
            new,
            state: if later { State::Scheduled } else { State::Queued },
            // One that is scheduled takes its place when it is promoted.
            place: if later { 0 } else { self.place(new.options.priority, new.key.as_deref())? },
            // A struct of numbers always serialises.
            options: serde_json::to_string(&new.options).unwrap_or_default(),
            payload_bytes: new.payload.len() as i64,
            run_at,
            unique_key: new.unique.as_ref().map(|unique| unique.key.as_str()),
            unique_scope: new.unique.as_ref().map(|unique| scope_word(unique.scope)),
            start_by: new.expires_at.map(|at| at.max(Timestamp(0))),
            batch,
            then: chain::encode(&new.then),
        })
    }

    fn insert(&self, jobs: &[Accepted<'_>]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        JOBS.write(self.file, &[&self.name, &self.now], jobs, |job| {
            let NewJob { id, task, options, key, .. } = job.new;
            [
                id,
                task,
                &job.state,
                &options.priority,
                &job.place,
                &job.options,
                &job.payload_bytes,
                &job.run_at,
                key,
                &job.unique_key,
                &job.unique_scope,
                &job.start_by,
                &job.batch,
                &job.then,
            ]
        })?;
        // SQLite numbers new rows one after the other.
        let first = self.file.last_insert_rowid() + 1 - jobs.len() as i64;
        let payloads: Vec<_> = (first..).zip(jobs.iter().map(|job| &job.new.payload)).collect();
        PAYLOADS.write(self.file, &[], &payloads, |(job, bytes)| [job, bytes])
    }

    /// Whether there is a job of this id.
    pub(super) fn has_job(&self, id: &JobId) -> Result<bool> {
        self.file.prepare_cached(HAS_JOB)?.query_row((id, &self.name), |row| row.get(0))
    }
}

const HAS_JOB: &str = "SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND queue = ?2)";
