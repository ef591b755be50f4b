//! The verbs that move jobs between states, each the body of one transaction: enqueue, settle, promote.

use std::time::Duration;

use rusqlite::{Connection, Result, Transaction, named_params};

use crate::broker::{Enqueued, Promoted, Settle, Settled};
use crate::clock::Timestamp;
use crate::job::{NewJob, State};
use crate::policy::{KEEP_CANCELLED, Settlement};

/// The most jobs of a queue that one call of promote moves, and the most records it removes, so that a million jobs due
/// at one instant do not keep everybody else waiting.
const PROMOTED_AT_ONCE: i64 = 10_000;

pub(super) fn enqueue(file: &Transaction<'_>, now: Timestamp, jobs: &[NewJob]) -> Result<Vec<Enqueued>> {
    let mut insert = file.prepare_cached(
        "INSERT INTO jobs (id, queue, task, state, priority, place, options, payload_bytes, enqueued_at, run_at)
         VALUES (:id, :queue, :task, :state, :priority, :place, :options, :bytes, :now, :run_at)
         ON CONFLICT (id, queue) DO NOTHING",
    )?;
    let mut insert_payload = file.prepare_cached("INSERT INTO payloads (job, bytes) VALUES (?1, ?2)")?;
    let mut places = Places::new(file);
    let mut enqueued = Vec::with_capacity(jobs.len());
    for job in jobs {
        let run_at = job.run_at.unwrap_or(now).max(now);
        let state = if run_at > now { State::Scheduled } else { State::Queued };
        let created = insert.execute(named_params! {
            ":id": job.id, ":queue": job.queue, ":task": job.task, ":state": state,
            ":priority": job.options.priority, ":place": places.next(&job.queue)?,
            // A struct of numbers always serialises.
            ":options": serde_json::to_string(&job.options).unwrap_or_default(),
            ":bytes": job.payload.len() as i64, ":now": now, ":run_at": run_at,
        })? == 1;
        if created {
            insert_payload.execute((file.last_insert_rowid(), &job.payload))?;
        }
        enqueued.push(Enqueued { id: job.id.clone(), created });
    }
    places.write()?;
    Ok(enqueued)
}

pub(super) fn settle(file: &Transaction<'_>, now: Timestamp, settlements: &[Settle]) -> Result<Vec<Settled>> {
    let mut update = file.prepare_cached(
        "UPDATE jobs SET state = :state, place = coalesce(:place, place), run_at = coalesce(:run_at, run_at),
             finished_at = :finished_at, expires_at = :expires_at, reply = :reply,
             starts = :starts, failures = :failures, waits = :waits, history = :history, outcome = :outcome,
             lease_until = NULL
         WHERE id = :id AND queue = :queue AND token = :token AND state = 'running'",
    )?;
    let mut delete =
        file.prepare_cached("DELETE FROM jobs WHERE id = ?1 AND queue = ?2 AND token = ?3 AND state = 'running'")?;
    let mut places = Places::new(file);
    let mut settled = Vec::with_capacity(settlements.len());
    for settle in settlements {
        let lease = &settle.lease;
        let token = lease.token.cast_signed();
        let changed = if matches!(settle.settlement, Settlement::Complete { keep: Duration::ZERO, .. }) {
            delete.execute((&lease.id, &lease.queue, token))?
        } else {
            let to = Destination::of(&settle.settlement, now);
            let place = if to.behind_the_others { Some(places.next(&lease.queue)?) } else { None };
            update.execute(named_params! {
                ":id": lease.id, ":queue": lease.queue, ":token": token,
                ":state": to.state, ":place": place, ":run_at": to.run_at,
                ":finished_at": to.state.is_terminal().then_some(now), ":expires_at": to.expires_at,
                ":reply": to.reply, ":starts": settle.counters.starts, ":failures": settle.counters.failures,
                ":waits": settle.counters.waits, ":history": settle.history.encode(),
                ":outcome": settle.outcome.as_str(),
            })?
        };
        settled.push(if changed == 1 { Settled::Done } else { Settled::Stale });
    }
    places.write()?;
    Ok(settled)
}

/// Where a settlement sends a job.
struct Destination<'a> {
    state: State,
    /// Whether it takes a new place in its queue.
    behind_the_others: bool,
    run_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    reply: Option<&'a [u8]>,
}

impl<'a> Destination<'a> {
    fn of(settlement: &'a Settlement, now: Timestamp) -> Self {
        let to = |state| Self { state, behind_the_others: false, run_at: None, expires_at: None, reply: None };
        match settlement {
            Settlement::Complete { reply, keep } => {
                Self { expires_at: Some(now.after(*keep)), reply: Some(reply), ..to(State::Succeeded) }
            }
            Settlement::Retry { delay: Duration::ZERO } => {
                Self { behind_the_others: true, run_at: Some(now), ..to(State::Queued) }
            }
            Settlement::Retry { delay } => Self { run_at: Some(now.after(*delay)), ..to(State::Scheduled) },
            Settlement::Bury => to(State::Dead),
            Settlement::Release => to(State::Queued),
            Settlement::Cancel => Self { expires_at: Some(now.after(KEEP_CANCELLED)), ..to(State::Cancelled) },
        }
    }
}

pub(super) fn promote(file: &Transaction<'_>, now: Timestamp, queues: &[String]) -> Result<Promoted> {
    let mut due = file.prepare_cached(
        "SELECT job FROM jobs WHERE queue = ?1 AND state = 'scheduled' AND run_at <= ?2 ORDER BY run_at, id LIMIT ?3",
    )?;
    let mut queue_up = file.prepare_cached("UPDATE jobs SET state = 'queued', place = ?2 WHERE job = ?1")?;
    // The states stand in the text of the statements, because that is how SQLite finds the index of each.
    let forget = ["succeeded", "cancelled"].map(|state| {
        format!(
            "DELETE FROM jobs WHERE job IN
                 (SELECT job FROM jobs WHERE queue = ?1 AND state = '{state}' AND expires_at <= ?2 LIMIT ?3)"
        )
    });
    let mut next = file.prepare_cached(
        "SELECT min(at) FROM (SELECT min(run_at) AS at FROM jobs WHERE queue = ?1 AND state = 'scheduled'
             UNION ALL SELECT min(lease_until) FROM jobs WHERE queue = ?1 AND state = 'running')",
    )?;
    let mut places = Places::new(file);
    let mut promoted = Promoted::default();
    for queue in queues {
        let keys: Vec<i64> = due.query_map((queue, now, PROMOTED_AT_ONCE), |row| row.get(0))?.collect::<Result<_>>()?;
        for key in &keys {
            queue_up.execute((key, places.next(queue)?))?;
        }
        promoted.moved += keys.len();
        for forget in &forget {
            file.prepare_cached(forget)?.execute((queue, now, PROMOTED_AT_ONCE))?;
        }
        if let Some(at) = next.query_row([queue], |row| row.get::<_, Option<Timestamp>>(0))? {
            let wait = at.until_from(now);
            promoted.next = Some(promoted.next.map_or(wait, |sooner| sooner.min(wait)));
        }
    }
    places.write()?;
    Ok(promoted)
}

/// How long until a worker may take or promote something in these queues; `None` if nothing waits there.
pub(super) fn ready(view: &Connection, now: Timestamp, queues: &[String]) -> Result<Option<Duration>> {
    let mut queued = view.prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE queue = ?1 AND state = 'queued')")?;
    let mut scheduled = view.prepare_cached("SELECT min(run_at) FROM jobs WHERE queue = ?1 AND state = 'scheduled'")?;
    let mut soonest: Option<Duration> = None;
    for queue in queues {
        if queued.query_row([queue], |row| row.get(0))? {
            return Ok(Some(Duration::ZERO));
        }
        if let Some(at) = scheduled.query_row([queue], |row| row.get::<_, Option<Timestamp>>(0))? {
            let wait = at.until_from(now);
            soonest = Some(soonest.map_or(wait, |sooner| sooner.min(wait)));
        }
    }
    Ok(soonest)
}

/// Gives places in queues out: each queue's number is read once and written once, however many jobs join it.
pub(super) struct Places<'a> {
    file: &'a Transaction<'a>,
    last: Vec<(String, i64)>,
}

impl<'a> Places<'a> {
    pub(super) fn new(file: &'a Transaction<'a>) -> Self {
        Self { file, last: Vec::new() }
    }

    /// The next place in a queue, behind all others.
    pub(super) fn next(&mut self, queue: &str) -> Result<i64> {
        let known = self.last.iter().position(|(name, _)| name == queue);
        let index = match known {
            Some(index) => index,
            None => {
                let last = self
                    .file
                    .prepare_cached("INSERT INTO queues (name) VALUES (?1) ON CONFLICT (name) DO UPDATE SET name = name RETURNING last_place")?
                    .query_row([queue], |row| row.get(0))?;
                self.last.push((queue.to_owned(), last));
                self.last.len() - 1
            }
        };
        self.last[index].1 += 1;
        Ok(self.last[index].1)
    }

    /// Writes the numbers back; without this the places would be given out twice.
    pub(super) fn write(self) -> Result<()> {
        let mut write = self.file.prepare_cached("UPDATE queues SET last_place = ?2 WHERE name = ?1")?;
        for (queue, last) in &self.last {
            write.execute((queue, last))?;
        }
        Ok(())
    }
}
