//! Unique keys: which job holds one, and until when.

use rusqlite::{OptionalExtension, Result};

use super::queue::Queue;
use crate::clock::Timestamp;
use crate::job::{JobId, millis};
use crate::unique::{Unique, UniqueScope};

/// How a job's record says for how long it holds its unique key.
pub(super) fn scope_word(scope: UniqueScope) -> &'static str {
    match scope {
        UniqueScope::Queued => QUEUED,
        UniqueScope::Unfinished => "unfinished",
        UniqueScope::For(_) => TIME,
    }
}

pub(super) const QUEUED: &str = "queued";
pub(super) const TIME: &str = "time";

impl Queue<'_> {
    /// The job that holds this unique key.
    pub(super) fn holder(&self, unique_key: &str) -> Result<Option<JobId>> {
        self.file
            .prepare_cached(
                "SELECT id FROM uniques
                 WHERE queue = ?1 AND unique_key = ?2 AND (until > ?3 OR until IS NULL AND EXISTS (
                     SELECT 1 FROM jobs WHERE jobs.id = uniques.id AND jobs.queue = uniques.queue
                 ))",
            )?
            .query_row((&self.name, unique_key, self.now), |row| row.get(0))
            .optional()
    }

    /// A new job takes its unique key.
    pub(super) fn take_unique(&self, id: &JobId, unique: &Unique) -> Result<()> {
        let until = match unique.scope {
            // Whole milliseconds, as every producer says it.
            UniqueScope::For(span) => Some(Timestamp(self.now.0 + millis(span).cast_signed() * 1000)),
            UniqueScope::Queued | UniqueScope::Unfinished => None,
        };
        self.write_unique(id, &unique.key, until)
    }

    /// A job that is queued again takes its unique key back, if that is free.
    pub(super) fn take_unique_back(&self, id: &JobId, unique_key: &str) -> Result<()> {
        match self.holder(unique_key)? {
            Some(_) => Ok(()),
            None => self.write_unique(id, unique_key, None),
        }
    }

    fn write_unique(&self, id: &JobId, unique_key: &str, until: Option<Timestamp>) -> Result<()> {
        self.file
            .prepare_cached(
                "INSERT INTO uniques (queue, unique_key, id, until) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (queue, unique_key) DO UPDATE SET id = excluded.id, until = excluded.until",
            )?
            .execute((&self.name, unique_key, id, until))
            .map(drop)
    }

    /// The job does not hold its unique key any more.
    pub(super) fn let_go(&self, id: &JobId, unique_key: Option<&str>) -> Result<()> {
        let Some(unique_key) = unique_key else { return Ok(()) };
        self.file
            .prepare_cached("DELETE FROM uniques WHERE queue = ?1 AND unique_key = ?2 AND id = ?3")?
            .execute((&self.name, unique_key, id))
            .map(drop)
    }

    /// Forgets keys that were held for a time which has passed, at most so many.
    pub(super) fn forget_passed_uniques(&self, most: i64) -> Result<()> {
        self.file
            .prepare_cached(
                "DELETE FROM uniques WHERE queue = ?1 AND unique_key IN
                     (SELECT unique_key FROM uniques WHERE queue = ?1 AND until <= ?2 ORDER BY until LIMIT ?3)",
            )?
            .execute((&self.name, self.now, most))
            .map(drop)
    }
}
