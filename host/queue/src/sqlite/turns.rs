//! Places in a queue. In a fair queue keys take turns (start-time fair queueing, Goyal 1996): a job's place is its key's
//! next turn, at least the turn that was leased last; so a key that was away saves nothing up. Each priority has turns of
//! its own.

use rusqlite::{OptionalExtension, Result};

use super::queue::Queue;

impl Queue<'_> {
    /// A new place: behind all others of its priority, or in its key's turn.
    pub(super) fn place(&mut self, priority: i32, key: Option<&str>) -> Result<i64> {
        if self.row().fair_since.is_none() {
            let row = self.row_mut();
            row.last_place += 1;
            return Ok(row.last_place);
        }
        let least = self.leased_turn(priority)?;
        self.file
            .prepare_cached(
                "INSERT INTO turns (queue, priority, key, turn) VALUES (?1, ?2, ?3, ?4 + 1)
                 ON CONFLICT (queue, priority, key) DO UPDATE SET turn = max(turn, ?4) + 1
                 RETURNING turn - 1",
            )?
            .query_row((&self.name, priority, key.unwrap_or_default(), least), |row| row.get(0))
    }

    /// A job of this place is leased.
    pub(super) fn take_turn(&mut self, priority: i32, place: i64) -> Result<()> {
        if self.row().fair_since.is_some() && place > self.leased_turn(priority)? {
            self.leased_turns.insert(priority, (place, true));
        }
        Ok(())
    }

    /// The turn of this priority that was leased last.
    fn leased_turn(&mut self, priority: i32) -> Result<i64> {
        if let Some((turn, _)) = self.leased_turns.get(&priority) {
            return Ok(*turn);
        }
        let leased: Option<i64> = self
            .file
            .prepare_cached("SELECT turn FROM leased_turns WHERE queue = ?1 AND priority = ?2")?
            .query_row((&self.name, priority), |row| row.get(0))
            .optional()?;
        let turn = leased.unwrap_or_default().max(self.row().fair_since.unwrap_or_default());
        self.leased_turns.insert(priority, (turn, false));
        Ok(turn)
    }

    /// Forgets the turns that are everybody's by now.
    pub(super) fn forget_passed_turns(&mut self) -> Result<()> {
        if self.row().fair_since.is_none() {
            return Ok(());
        }
        let leased: Vec<i32> = self
            .file
            .prepare_cached("SELECT priority FROM leased_turns WHERE queue = ?1")?
            .query_map([&self.name], |row| row.get(0))?
            .collect::<Result<_>>()?;
        if !self.has_waiting()? {
            // Nobody's next turn matters.
            self.file.prepare_cached("DELETE FROM turns WHERE queue = ?1")?.execute([&self.name])?;
            return Ok(());
        }
        for priority in leased {
            let turn = self.leased_turn(priority)?;
            self.file
                .prepare_cached("DELETE FROM turns WHERE queue = ?1 AND priority = ?2 AND turn <= ?3")?
                .execute((&self.name, priority, turn))?;
        }
        Ok(())
    }

    /// Makes it fair by key, or first in first out again; false if it is already. Jobs that are queued keep their places.
    pub(super) fn set_fair(&mut self, fair: bool) -> Result<bool> {
        if self.row().fair_since.is_some() == fair {
            return Ok(false);
        }
        let row = self.row_mut();
        if fair {
            row.last_place += 1;
            row.fair_since = Some(row.last_place);
            return Ok(true);
        }
        row.fair_since = None;
        self.leased_turns.clear();
        // Whoever comes from now on is behind everybody, whichever turn that one has.
        let last: Option<i64> =
            self.file.query_row("SELECT max(turn) FROM turns WHERE queue = ?1", [&self.name], |row| row.get(0))?;
        let row = self.row_mut();
        row.last_place = row.last_place.max(last.unwrap_or_default());
        self.file.execute("DELETE FROM turns WHERE queue = ?1", [&self.name])?;
        self.file.execute("DELETE FROM leased_turns WHERE queue = ?1", [&self.name])?;
        Ok(true)
    }

    pub(super) fn write_turns(&mut self) -> Result<()> {
        for (priority, (turn, changed)) in &self.leased_turns {
            if *changed {
                self.file
                    .prepare_cached(
                        "INSERT INTO leased_turns (queue, priority, turn) VALUES (?1, ?2, ?3)
                         ON CONFLICT (queue, priority) DO UPDATE SET turn = excluded.turn",
                    )?
                    .execute((&self.name, priority, turn))?;
            }
        }
        Ok(())
    }
}
