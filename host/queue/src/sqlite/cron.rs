//! Periodic jobs: each is one row, with the time it is due next.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Result};

use super::SqliteBroker;
use super::queue::Queues;
use crate::broker::BrokerError;
use crate::clock::Timestamp;
use crate::cron::{Cron, CronView, Crons, Kept};

#[async_trait]
impl Crons for SqliteBroker {
    async fn add_cron(&self, cron: &Cron) -> std::result::Result<bool, BrokerError> {
        cron.check().map_err(BrokerError::Invalid)?;
        let cron = cron.clone();
        let name = cron.name.clone();
        let added = self.change(move |queues| add(queues, &cron)).await?;
        added.map_err(|queue| {
            BrokerError::Invalid(format!(
                "there is a periodic job {name} in the queue {queue}: remove it first, or take another name"
            ))
        })
    }

    async fn crons(&self) -> std::result::Result<Vec<CronView>, BrokerError> {
        self.store.read(|view, _| all(view)).await
    }

    async fn remove_cron(&self, name: &str) -> std::result::Result<bool, BrokerError> {
        let name = name.to_owned();
        self.change(move |queues| Ok(queues.file.execute("DELETE FROM crons WHERE name = ?1", [&name])? == 1)).await
    }

    async fn pause_cron(&self, name: &str, paused: bool) -> std::result::Result<bool, BrokerError> {
        let name = name.to_owned();
        self.change(move |queues| pause(queues, &name, paused)).await
    }
}

/// Adds it, or changes it; `Err` with the queue in which one of its name is.
fn add(queues: &mut Queues<'_>, cron: &Cron) -> Result<std::result::Result<bool, String>> {
    let found = find(queues.file, &cron.name)?;
    if let Some(kept) = found.as_ref().filter(|kept| kept.cron.queue != cron.queue) {
        return Ok(Err(kept.cron.queue.clone()));
    }
    let kept = match &found {
        Some(kept) => Kept { cron: cron.clone(), ..kept.clone() },
        None => Kept::new(cron.clone()),
    };
    // A time that has come already must not be dropped.
    let next = match &found {
        Some(before) if before.is_due_as(&kept) => due_at(queues.file, &cron.name)?,
        _ => kept.next_after(queues.now),
    };
    keep(queues, &kept, next)?;
    Ok(Ok(found.is_none()))
}

fn pause(queues: &mut Queues<'_>, name: &str, paused: bool) -> Result<bool> {
    let Some(kept) = find(queues.file, name)? else { return Ok(false) };
    if kept.paused != paused {
        let kept = Kept { paused, ..kept };
        keep(queues, &kept, kept.next_after(queues.now))?;
    }
    Ok(true)
}

/// Makes the jobs of periodic ones of this queue whose time has come.
pub(super) fn fire_due(queues: &mut Queues<'_>, queue: &str) -> Result<()> {
    let due: Vec<(String, Timestamp, Vec<u8>)> = queues
        .file
        .prepare_cached(
            "SELECT name, next_at, kept FROM crons WHERE queue = ?1 AND next_at <= ?2 ORDER BY next_at, name",
        )?
        .query_map((queue, queues.now), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    for (name, at, bytes) in due {
        let Some(kept) = Kept::decode(&bytes) else {
            tracing::error!(queue, cron = name, "a periodic job cannot be read: it is never due again");
            queues.file.execute("UPDATE crons SET next_at = NULL WHERE name = ?1", [&name])?;
            continue;
        };
        let firing = kept.fire(at, queues.now);
        if let Some(job) = &firing.job {
            queues.of(&job.queue)?.accept(job, None)?;
        }
        keep(queues, &firing.kept, firing.next)?;
    }
    Ok(())
}

fn keep(queues: &mut Queues<'_>, kept: &Kept, next: Option<Timestamp>) -> Result<()> {
    let queue = queues.of(&kept.cron.queue)?;
    // Listed, though it has had no job yet; and a worker may have to wait less long.
    queue.row_mut();
    queue.wake = true;
    queues
        .file
        .prepare_cached(
            "INSERT INTO crons (name, queue, next_at, kept) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at, kept = excluded.kept",
        )?
        .execute((&kept.cron.name, &kept.cron.queue, next, kept.encode()))
        .map(drop)
}

fn due_at(file: &Connection, name: &str) -> Result<Option<Timestamp>> {
    file.prepare_cached("SELECT next_at FROM crons WHERE name = ?1")?.query_row([name], |row| row.get(0))
}

fn find(file: &Connection, name: &str) -> Result<Option<Kept>> {
    let bytes: Option<Vec<u8>> = file
        .prepare_cached("SELECT kept FROM crons WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(bytes.and_then(|bytes| Kept::decode(&bytes)))
}

fn all(file: &Connection) -> Result<Vec<CronView>> {
    let rows: Vec<(Option<Timestamp>, Vec<u8>)> = file
        .prepare_cached("SELECT next_at, kept FROM crons ORDER BY queue, name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    Ok(rows.into_iter().filter_map(|(next, bytes)| Some(Kept::decode(&bytes)?.view(next))).collect())
}
