//! What becomes of chains and batches when a job ends.

use rusqlite::{OptionalExtension, Result, Row};

use super::ends::Leaving;
use super::queue::Queue;
use crate::batch::callback_payload;
use crate::chain::{self, Link};
use crate::clock::Timestamp;
use crate::flow::{BatchState, Ending};
use crate::job::NewJob;
use crate::policy::KEEP_BATCH;

/// A batch, as far as it matters when a member has ended.
struct Standing {
    batch: i64,
    cancelled: bool,
    finished: bool,
    called: bool,
    enqueued_at: Timestamp,
    pending: i64,
    total: i64,
    counts: [(Ending, i64); 5],
    callback: String,
    tail: String,
    parent: Option<String>,
}

impl Standing {
    fn read(row: &Row<'_>) -> Result<Self> {
        let count = |ending: Ending| row.get(ending.as_str()).map(|count| (ending, count));
        Ok(Self {
            batch: row.get("batch")?,
            cancelled: row.get_ref("state")?.as_str()? == BatchState::Cancelled.as_str(),
            finished: row.get_ref("finished_at")?.data_type() != rusqlite::types::Type::Null,
            called: row.get("called")?,
            enqueued_at: row.get("enqueued_at")?,
            pending: row.get("pending")?,
            total: row.get("total")?,
            counts: [
                count(Ending::Succeeded)?,
                count(Ending::Dead)?,
                count(Ending::Cancelled)?,
                count(Ending::Expired)?,
                count(Ending::Removed)?,
            ],
            callback: row.get("callback")?,
            tail: row.get("tail")?,
            parent: row.get("parent")?,
        })
    }

    /// Whether every member succeeded.
    fn all_succeeded(&self) -> bool {
        self.counts[0].1 == self.total
    }
}

impl Queue<'_> {
    /// A job has ended so: what is to follow it is accepted, or its batch is told.
    pub(super) fn flow_on(&mut self, batch: Option<&str>, then: &str, how: Ending, reply: Option<&[u8]>) -> Result<()> {
        if how != Ending::Succeeded || then.is_empty() {
            return self.member_ended(batch, how);
        }
        // What is to follow is not enqueued where its batch was cancelled.
        if let Some(batch) = batch
            && self.standing(batch)?.is_some_and(|standing| standing.cancelled)
        {
            return self.member_ended(Some(batch), Ending::Cancelled);
        }
        if self.follow(then, reply.unwrap_or_default(), batch)? {
            return Ok(());
        }
        // Its id is taken: the chain ends here, and not as it should.
        self.member_ended(batch, Ending::Dead)
    }

    /// A member of a batch has ended, or its callback, once that was enqueued. Whoever is the last enqueues the callback,
    /// or ends the batch, which may be the last member of another.
    pub(super) fn member_ended(&mut self, batch: Option<&str>, mut how: Ending) -> Result<()> {
        let mut next = batch.map(str::to_owned);
        while let Some(id) = next {
            let Some(mut standing) = self.standing(&id)?.filter(|standing| !standing.finished) else { return Ok(()) };
            let mut well = !standing.called || how == Ending::Succeeded;
            if !standing.called {
                self.count(standing.batch, how, 1)?;
                if standing.pending > 1 {
                    return Ok(());
                }
                let Some(counted) = self.standing(&id)? else { return Ok(()) };
                standing = counted;
                if !standing.cancelled && !standing.callback.is_empty() {
                    let Standing { total, counts, .. } = standing;
                    if self.call(&id, &standing, &callback_payload(&id, total, counts, &standing.tail))? {
                        return Ok(());
                    }
                    well = false;
                }
            }
            how = if standing.cancelled {
                Ending::Cancelled
            } else if well && standing.all_succeeded() {
                Ending::Succeeded
            } else {
                Ending::Dead
            };
            let state = if standing.cancelled { BatchState::Cancelled } else { BatchState::Finished };
            self.file.prepare_cached("UPDATE batches SET state = ?2, finished_at = ?3 WHERE batch = ?1")?.execute((
                standing.batch,
                state.as_str(),
                self.now,
            ))?;
            next = standing.parent;
        }
        Ok(())
    }

    /// A job that had ended runs again: its batch waits for it again if it still can, else the job goes on by itself.
    pub(super) fn rejoin(&mut self, job: &Leaving) -> Result<()> {
        let (Some(batch), Some(how)) = (&job.batch, Ending::of(job.state)) else { return Ok(()) };
        match self.standing(batch)? {
            // Not where it is of an earlier batch of this id.
            Some(Standing { batch, finished: false, cancelled: false, called: false, enqueued_at, .. })
                if job.enqueued_at >= enqueued_at =>
            {
                self.count(batch, how, -1)
            }
            _ => self.file.prepare_cached("UPDATE jobs SET batch = NULL WHERE job = ?1")?.execute([job.job]).map(drop),
        }
    }

    /// Forgets batches that ended long enough ago, at most so many; their jobs go in their own time.
    pub(super) fn forget_ended_batches(&self, most: i64) -> Result<()> {
        let before = self.now.0 - i64::try_from(KEEP_BATCH.as_micros()).unwrap_or(i64::MAX);
        self.file
            .prepare_cached(
                "DELETE FROM batches WHERE batch IN
                     (SELECT batch FROM batches WHERE queue = ?1 AND finished_at <= ?2 ORDER BY finished_at LIMIT ?3)",
            )?
            .execute((&self.name, before, most))
            .map(drop)
    }

    /// Enqueues a batch's callback; false if that cannot be.
    fn call(&mut self, id: &str, standing: &Standing, payload: &[u8]) -> Result<bool> {
        self.file.prepare_cached("UPDATE batches SET called = 1 WHERE batch = ?1")?.execute([standing.batch])?;
        self.follow(&standing.callback, payload, Some(id))
    }

    /// Accepts the first of these lines with this payload, and the others to follow it; false if that cannot be.
    fn follow(&mut self, lines: &str, payload: &[u8], batch: Option<&str>) -> Result<bool> {
        let Some((Some(first), rest)) = chain::split(lines) else { return Ok(false) };
        let Link { id, task, key, options } = first;
        let job = NewJob::new(task, payload).id(id).queue(&self.name).options(options).then(chain::decode(rest));
        self.accept(&NewJob { key, ..job }, batch)
    }

    /// So many more members have ended so.
    fn count(&self, batch: i64, how: Ending, by: i64) -> Result<()> {
        let word = how.as_str();
        self.file
            .prepare_cached(&format!(
                "UPDATE batches SET {word} = {word} + ?2, pending = pending - ?2 WHERE batch = ?1"
            ))?
            .execute((batch, by))
            .map(drop)
    }

    fn standing(&self, id: &str) -> Result<Option<Standing>> {
        self.file
            .prepare_cached("SELECT * FROM batches WHERE id = ?1 AND queue = ?2")?
            .query_row((id, &self.name), Standing::read)
            .optional()
    }
}
