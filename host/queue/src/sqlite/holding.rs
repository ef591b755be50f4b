//! Held jobs: those that a limit keeps from starting. A held job waits under the limit's name and not in the queue, so that
//! it is in nobody's way.

use rusqlite::Result;

use super::limits::{NEVER, Room};
use super::queue::Queue;

impl Queue<'_> {
    /// Holds a queued job under a limit, until there may be room at `next`; `names` are all the limits it is under.
    pub(super) fn hold(&mut self, job: i64, name: &str, next: i64, names: &[String]) -> Result<()> {
        self.file.prepare_cached("UPDATE jobs SET held = ?2 WHERE job = ?1")?.execute((job, name))?;
        self.look_again(name, next)?;
        self.pass_on(names, Some(name))
    }

    /// A queued job that might have started does not: if another was waiting for that, it is its turn.
    pub(super) fn pass_on(&mut self, names: &[String], but: Option<&str>) -> Result<()> {
        for name in names {
            if Some(name.as_str()) != but && self.holds_any(name)? {
                self.let_back(name, 1)?;
            }
        }
        Ok(())
    }

    /// Lets held jobs of a limit back into the queue, as many as may start, at most `most`; answers how many. Those let
    /// back before and not leased yet are not known here: where each end lets back one, there are none too many.
    pub(super) fn let_back(&mut self, name: &str, most: i64) -> Result<i64> {
        let Room { free, next } = self.room(name)?;
        let count = free.min(most);
        let mut moved = 0;
        if count > 0 {
            moved = self
                .file
                .prepare_cached(
                    "UPDATE jobs SET held = NULL WHERE job IN (
                         SELECT job FROM jobs WHERE queue = ?1 AND held = ?2 ORDER BY priority DESC, place, id LIMIT ?3
                     )",
                )?
                .execute((&self.name, name, count))?;
            self.wake |= moved > 0;
        }
        if !self.holds_any(name)? {
            self.look_no_more(name)?;
        } else {
            let soon = free > count && self.more_may_start(name)?;
            self.look_again(name, if soon { self.now.0 } else { next })?;
        }
        Ok(moved as i64)
    }

    /// Whether more may start under a limit than were let back: as tokens, because its rule has gone, or because it was
    /// made wider and nobody has looked since. Else the room is of those that were let back before.
    fn more_may_start(&mut self, name: &str) -> Result<bool> {
        if self.rule(name)?.is_none_or(|limit| limit.interval > 0) {
            return Ok(true);
        }
        self.file
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM usage WHERE queue = ?1 AND name = ?2 AND again_at <= ?3)")?
            .query_row((&self.name, name, self.now), |row| row.get(0))
    }

    pub(super) fn holds_any(&self, name: &str) -> Result<bool> {
        self.file
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE queue = ?1 AND held = ?2)")?
            .query_row((&self.name, name), |row| row.get(0))
    }

    /// Jobs are in the queue, held or not.
    pub(super) fn has_waiting(&self) -> Result<bool> {
        self.file
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE queue = ?1 AND state = 'queued')")?
            .query_row([&self.name], |row| row.get(0))
    }

    /// Jobs are in the queue, and not held.
    pub(super) fn has_queued(&self) -> Result<bool> {
        self.file
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM jobs WHERE queue = ?1 AND state = 'queued' AND held IS NULL)",
            )?
            .query_row([&self.name], |row| row.get(0))
    }

    /// When promote is to look at a limit's held jobs again.
    pub(super) fn look_again(&mut self, name: &str, at: i64) -> Result<()> {
        self.wake |= at != NEVER;
        self.file
            .prepare_cached(
                "INSERT INTO usage (queue, name, again_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (queue, name) DO UPDATE SET again_at = excluded.again_at",
            )?
            .execute((&self.name, name, at))
            .map(drop)
    }

    /// Nothing is held under a limit.
    pub(super) fn look_no_more(&mut self, name: &str) -> Result<()> {
        self.file
            .prepare_cached("UPDATE usage SET again_at = NULL WHERE queue = ?1 AND name = ?2 AND again_at IS NOT NULL")?
            .execute((&self.name, name))
            .map(drop)
    }
}
