//! Limits: the rules, what runs under each, and how many more jobs may start.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Result};

use super::queue::Queue;

/// The name of the limit on all jobs of a queue.
pub(super) const QUEUE: &str = "queue";

/// The name of the rule of every key that has none of its own.
pub(super) const KEYS: &str = "keys";

/// When a job may start that only another's end lets start.
pub(super) const NEVER: i64 = i64::MAX;

/// What a call has learned of limits, by name.
#[derive(Default)]
pub(super) struct Limits {
    rules: HashMap<String, Option<Bounds>>,
    usage: HashMap<String, Usage>,
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// At most so many at the same time; `i64::MAX` is no limit.
    pub(super) most: i64,
    /// Microseconds for each token; 0 is no limit.
    pub(super) interval: i64,
    pub(super) burst: i64,
    pub(super) paused: bool,
}

/// How things stand under a limit.
#[derive(Clone, Copy, Debug)]
struct Usage {
    busy: i64,
    /// The instant its bucket is next full: the theoretical arrival time of GCRA, which is a token bucket in one number.
    full_at: i64,
    changed: bool,
}

/// How many more jobs may start under a limit now, and when one more may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) free: i64,
    pub(super) next: i64,
}

impl Room {
    fn of(limit: Bounds, busy: i64, full_at: i64, now: i64) -> Self {
        if limit.paused {
            return Self { free: 0, next: NEVER };
        }
        let free = limit.most.saturating_sub(busy);
        if free > 0 && limit.interval > 0 {
            let reach = limit.burst * limit.interval;
            // A bucket that was made smaller may have less than none.
            let tokens = (now + reach - full_at).div_euclid(limit.interval).max(0);
            if tokens < free {
                return Self { free: tokens, next: full_at + (tokens + 1) * limit.interval - reach };
            }
        }
        Self { free: free.max(0), next: NEVER }
    }
}

impl Queue<'_> {
    /// The rule of this name; a key without one is under that of all keys.
    pub(super) fn rule(&mut self, name: &str) -> Result<Option<Bounds>> {
        if !self.limited {
            return Ok(None);
        }
        if let Some(known) = self.limits.rules.get(name) {
            return Ok(*known);
        }
        let mut found = self
            .file
            .prepare_cached(
                "SELECT coalesce(concurrency, ?3), interval_us, burst, paused FROM limits WHERE queue = ?1 AND name = ?2",
            )?
            .query_row((&self.name, name, i64::MAX), |row| {
                Ok(Bounds { most: row.get(0)?, interval: row.get(1)?, burst: row.get(2)?, paused: row.get(3)? })
            })
            .optional()?;
        if found.is_none() && name.starts_with("key:") {
            found = self.rule(KEYS)?;
        }
        self.limits.rules.insert(name.to_owned(), found);
        Ok(found)
    }

    /// Forgets the rules that were read: one has been changed.
    pub(super) fn forget_rules(&mut self) -> Result<()> {
        self.limits.rules.clear();
        self.limited = self
            .file
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM limits WHERE queue = ?1)")?
            .query_row([&self.name], |row| row.get(0))?;
        Ok(())
    }

    /// The names of the limits that a job is under, but for the queue's own.
    pub(super) fn limits_of(&mut self, task: &str, key: Option<&str>) -> Result<Vec<String>> {
        let mut names = Vec::new();
        if self.limited {
            let of_key = key.map(|key| format!("key:{key}"));
            for name in [Some(format!("task:{task}")), of_key].into_iter().flatten() {
                if self.rule(&name)?.is_some() {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    /// How many more jobs may start under a limit now.
    pub(super) fn room(&mut self, name: &str) -> Result<Room> {
        let Some(limit) = self.rule(name)? else { return Ok(Room { free: i64::MAX, next: NEVER }) };
        let now = self.now.0;
        let usage = self.usage(name)?;
        Ok(Room::of(limit, usage.busy, usage.full_at, now))
    }

    fn usage(&mut self, name: &str) -> Result<&mut Usage> {
        if !self.limits.usage.contains_key(name) {
            let found: Option<(i64, i64)> = self
                .file
                .prepare_cached("SELECT busy, full_at FROM usage WHERE queue = ?1 AND name = ?2")?
                .query_row((&self.name, name), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (mut busy, full_at) = found.unwrap_or_default();
            if name == QUEUE {
                busy = self
                    .file
                    .prepare_cached("SELECT count(*) FROM jobs WHERE queue = ?1 AND state = 'running'")?
                    .query_row([&self.name], |row| row.get(0))?;
            }
            let usage = Usage { busy, full_at: full_at.max(self.now.0), changed: false };
            self.limits.usage.insert(name.to_owned(), usage);
        }
        Ok(self.limits.usage.get_mut(name).expect("it has just been read"))
    }

    /// So many jobs start under a limit.
    pub(super) fn start_under(&mut self, name: &str, count: i64) -> Result<()> {
        let interval = self.rule(name)?.map_or(0, |limit| limit.interval);
        let usage = self.usage(name)?;
        usage.busy += count;
        usage.full_at += count * interval;
        usage.changed = true;
        Ok(())
    }

    /// Makes a bucket no emptier than empty: a rate that was raised holds at once, and one that was taken away is forgotten.
    pub(super) fn clamp(&mut self, name: &str) -> Result<()> {
        let latest = self.rule(name)?.map_or(0, |limit| self.now.0 + limit.burst * limit.interval);
        let usage = self.usage(name)?;
        if usage.full_at > latest {
            usage.full_at = latest;
            usage.changed = true;
        }
        Ok(())
    }

    /// So many jobs run under a limit.
    pub(super) fn set_count(&mut self, name: &str, count: i64) -> Result<()> {
        let usage = self.usage(name)?;
        usage.busy = count;
        usage.changed = true;
        Ok(())
    }

    /// A job that ran under these limits runs no more.
    pub(super) fn end_under(&mut self, counted: &str) -> Result<()> {
        for name in counted.lines() {
            let usage = self.usage(name)?;
            usage.busy = (usage.busy - 1).max(0);
            usage.changed = true;
            if self.holds_any(name)? {
                self.let_back(name, 1)?;
            }
        }
        Ok(())
    }

    /// Forgets limits of which nothing is to be known.
    pub(super) fn forget_unused_limits(&self) -> Result<()> {
        self.file
            .prepare_cached("DELETE FROM usage WHERE queue = ?1 AND busy = 0 AND full_at <= ?2 AND again_at IS NULL")?
            .execute((&self.name, self.now))
            .map(drop)
    }

    /// Writes down what started and ended under limits.
    pub(super) fn write_usage(&mut self) -> Result<()> {
        for (name, usage) in self.limits.usage.iter().filter(|(_, usage)| usage.changed) {
            let busy = if name == QUEUE { 0 } else { usage.busy };
            self.file
                .prepare_cached(
                    "INSERT INTO usage (queue, name, busy, full_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (queue, name) DO UPDATE SET busy = excluded.busy, full_at = excluded.full_at",
                )?
                .execute((&self.name, name, busy, usage.full_at))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Bounds = Bounds { most: i64::MAX, interval: 0, burst: 0, paused: false };

    #[test]
    fn the_room_under_a_limit_is_the_lesser_of_places_and_tokens() {
        let rate = Bounds { interval: 10, burst: 3, ..NONE };
        for (limit, busy, full_at, free, next) in [
            (NONE, 7, 100, i64::MAX - 7, NEVER),
            (Bounds { paused: true, ..NONE }, 0, 100, 0, NEVER),
            (Bounds { most: 2, ..NONE }, 1, 100, 1, NEVER),
            (Bounds { most: 2, ..NONE }, 5, 100, 0, NEVER),
            (rate, 0, 100, 3, 110),
            (rate, 0, 101, 2, 101),
            (rate, 0, 130, 0, 110),
            (rate, 0, 145, 0, 125),
            (Bounds { most: 1, ..rate }, 0, 100, 1, NEVER),
            (Bounds { most: 1, ..rate }, 1, 100, 0, NEVER),
            (Bounds { most: 1, ..rate }, 0, 130, 0, 110),
        ] {
            let room = Room::of(limit, busy, full_at, 100);
            assert_eq!(room, Room { free, next }, "{limit:?}, {busy} busy, full at {full_at}");
        }
    }
}
