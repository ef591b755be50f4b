//! A queue within one call: what the call reads of it once, and writes back once at its end, however many jobs it moves.
//! What can be done to it stands in files of their own: `turns`, `limits`, `holding`, `uniques`, `ends`.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result};

use super::limits::Limits;
use crate::clock::Timestamp;

/// The queues of one call.
pub(super) struct Queues<'a> {
    pub(super) file: &'a Connection,
    pub(super) now: Timestamp,
    open: Vec<Queue<'a>>,
}

impl<'a> Queues<'a> {
    pub(super) fn new(file: &'a Connection, now: Timestamp) -> Self {
        Self { file, now, open: Vec::new() }
    }

    /// The queue of this name.
    pub(super) fn of(&mut self, name: &str) -> Result<&mut Queue<'a>> {
        let known = self.open.iter().position(|queue| queue.name == name);
        let index = match known {
            Some(index) => index,
            None => {
                self.open.push(Queue::open(self.file, self.now, name)?);
                self.open.len() - 1
            }
        };
        Ok(&mut self.open[index])
    }

    /// Writes back what has changed; without this places would be given out twice. Answers whether a worker
    /// that waits may find something to do.
    pub(super) fn close(self) -> Result<bool> {
        let mut wake = false;
        for mut queue in self.open {
            queue.write()?;
            wake |= queue.wake;
        }
        Ok(wake)
    }
}

/// One queue.
pub(super) struct Queue<'a> {
    pub(super) file: &'a Connection,
    pub(super) now: Timestamp,
    pub(super) name: String,
    row: Row,
    /// Whether the row is to be written.
    changed: bool,
    /// Whether any rule holds its jobs back.
    pub(super) limited: bool,
    pub(super) limits: Limits,
    /// The turn that was leased last, by priority, and whether it is to be written.
    pub(super) leased_turns: HashMap<i32, (i64, bool)>,
    /// Whether a worker that waits may find something to do.
    pub(super) wake: bool,
}

/// What its row says. (`last_token` is of the time when tokens were counted in the file.)
#[derive(Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) last_place: i64,
    pub(super) fair_since: Option<i64>,
    pub(super) dead_bytes: i64,
}

impl<'a> Queue<'a> {
    /// Reads it. Looking into a queue does not make it.
    pub(super) fn open(file: &'a Connection, now: Timestamp, name: &str) -> Result<Self> {
        let found = file
            .prepare_cached(
                "SELECT last_place, fair_since, dead_bytes, EXISTS (SELECT 1 FROM limits WHERE queue = ?1)
                 FROM queues WHERE name = ?1",
            )?
            .query_row([name], |row| {
                Ok((Row { last_place: row.get(0)?, fair_since: row.get(1)?, dead_bytes: row.get(2)? }, row.get(3)?))
            })
            .optional()?;
        let (row, limited) = found.unwrap_or_default();
        Ok(Self {
            file,
            now,
            name: name.to_owned(),
            row,
            changed: false,
            limited,
            limits: Limits::default(),
            leased_turns: HashMap::new(),
            wake: false,
        })
    }

    pub(super) fn row(&self) -> Row {
        self.row
    }

    /// The row, to be changed; also where it is to be listed from now on, whatever becomes of it.
    pub(super) fn row_mut(&mut self) -> &mut Row {
        self.changed = true;
        &mut self.row
    }

    fn write(&mut self) -> Result<()> {
        if self.changed {
            let Row { last_place, fair_since, dead_bytes } = self.row;
            self.file
                .prepare_cached(
                    "INSERT INTO queues (name, last_place, fair_since, dead_bytes) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET last_place = excluded.last_place,
                         fair_since = excluded.fair_since, dead_bytes = excluded.dead_bytes",
                )?
                .execute((&self.name, last_place, fair_since, dead_bytes))?;
        }
        self.write_usage()?;
        self.write_turns()
    }
}
