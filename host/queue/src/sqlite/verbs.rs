//! The verbs that accept jobs, settle them, and note how far they are.

use std::time::Duration;

use rusqlite::{OptionalExtension, Result, named_params};

use super::queue::Queues;
use super::uniques::TIME;
use crate::broker::{Enqueued, Note, Settle, Settled};
use crate::clock::Timestamp;
use crate::fingerprint::fingerprint;
use crate::flow::Ending;
use crate::job::NewJob;
use crate::policy::{KEEP_CANCELLED, Settlement};
use crate::state::State;

pub(super) fn enqueue(queues: &mut Queues<'_>, jobs: &[NewJob]) -> Result<Vec<Enqueued>> {
    jobs.iter().map(|job| accept(queues, job)).collect()
}

/// Accepts one job, unless one with its id is there already, or another holds its unique key.
pub(super) fn accept(queues: &mut Queues<'_>, job: &NewJob) -> Result<Enqueued> {
    queues.of(&job.queue)?.accept(job, None)
}

/// What has to be known of a job that is settled.
struct Running {
    job: i64,
    priority: i32,
    key: Option<String>,
    unique_key: Option<String>,
    unique_scope: Option<String>,
    cancel: bool,
    counted: Option<String>,
    payload_bytes: i64,
    batch: Option<String>,
    then: String,
}

pub(super) fn settle(queues: &mut Queues<'_>, settlements: &[Settle]) -> Result<Vec<Settled>> {
    let mut find = queues.file.prepare_cached(
        "SELECT job, priority, key, unique_key, unique_scope, cancel, counted, payload_bytes, batch,
             then_links FROM jobs
         WHERE id = ?1 AND queue = ?2 AND token = ?3 AND state = 'running'",
    )?;
    let mut ended = Vec::new();
    let mut settled = Vec::with_capacity(settlements.len());
    for settle in settlements {
        let lease = &settle.lease;
        let found = find
            .query_row((&lease.id, &lease.queue, lease.token.cast_signed()), |row| {
                Ok(Running {
                    job: row.get(0)?,
                    priority: row.get(1)?,
                    key: row.get(2)?,
                    unique_key: row.get(3)?,
                    unique_scope: row.get(4)?,
                    cancel: row.get(5)?,
                    counted: row.get(6)?,
                    payload_bytes: row.get(7)?,
                    batch: row.get(8)?,
                    then: row.get(9)?,
                })
            })
            .optional()?;
        settled.push(if found.is_some() { Settled::Done } else { Settled::Stale });
        if let Some(job) = found {
            for enqueued in &settle.jobs {
                accept(queues, enqueued)?;
            }
            move_on(queues, settle, &job)?;
            ended.push((&lease.queue, job.counted));
        }
    }
    // After all of them: what is let back finds its place among those that came back.
    for (queue, counted) in ended {
        let queue = queues.of(queue)?;
        queue.end_under(counted.as_deref().unwrap_or_default())?;
        // There is room again under the queue's own limit, if it has one.
        queue.wake |= queue.limited;
    }
    Ok(settled)
}

/// Sends a job that ran where its settlement says.
fn move_on(queues: &mut Queues<'_>, settle: &Settle, job: &Running) -> Result<()> {
    let (file, now) = (queues.file, queues.now);
    let queue = queues.of(&settle.lease.queue)?;
    // One that somebody asked to cancel does not run again.
    let to = match &settle.settlement {
        Settlement::Retry { .. } | Settlement::Release if job.cancel => Destination::of(&Settlement::Cancel, now),
        settlement => Destination::of(settlement, now),
    };
    if to.state.is_terminal() && job.unique_scope.as_deref() != Some(TIME) {
        queue.let_go(&settle.lease.id, job.unique_key.as_deref())?;
    }
    if to.state == State::Succeeded && to.expires_at == Some(now) {
        file.prepare_cached("DELETE FROM jobs WHERE job = ?1")?.execute([job.job])?;
        return queue.flow_on(job.batch.as_deref(), &job.then, Ending::Succeeded, to.reply);
    }
    let history = settle.history.encode();
    if to.state == State::Dead {
        queue.count_dead(job.payload_bytes + history.len() as i64);
    }
    let place = if to.behind_the_others { Some(queue.place(job.priority, job.key.as_deref())?) } else { None };
    queue.wake |= !to.state.is_terminal();
    let mut update = file.prepare_cached(
        "UPDATE jobs SET state = :state, place = coalesce(:place, place), run_at = coalesce(:run_at, run_at),
             finished_at = :finished_at, expires_at = :expires_at, reply = :reply,
             starts = :starts, failures = :failures, waits = :waits, lost = :lost,
             history = :history, outcome = :outcome, fingerprint = :fingerprint,
             lease_until = NULL, cancel = 0, counted = NULL
         WHERE job = :job",
    )?;
    update.execute(named_params! {
            ":job": job.job, ":state": to.state, ":place": place, ":run_at": to.run_at,
            ":finished_at": to.state.is_terminal().then_some(now), ":expires_at": to.expires_at, ":reply": to.reply,
            ":starts": settle.counters.starts, ":failures": settle.counters.failures,
            ":waits": settle.counters.waits, ":lost": settle.counters.lost, ":history": history,
            ":outcome": settle.outcome.as_str(),
            ":fingerprint": if to.state == State::Dead { fingerprint(&settle.history) } else { String::new() },
    })?;
    match Ending::of(to.state) {
        Some(ending) => queue.flow_on(job.batch.as_deref(), &job.then, ending, to.reply),
        None => Ok(()),
    }
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
            Settlement::Retry { delay } if *delay < Duration::from_micros(1) => {
                Self { behind_the_others: true, run_at: Some(now), ..to(State::Queued) }
            }
            Settlement::Retry { delay } => Self { run_at: Some(now.after(*delay)), ..to(State::Scheduled) },
            Settlement::Bury => to(State::Dead),
            Settlement::Release => to(State::Queued),
            Settlement::Cancel => Self { expires_at: Some(now.after(KEEP_CANCELLED)), ..to(State::Cancelled) },
        }
    }
}

pub(super) fn note(queues: &mut Queues<'_>, notes: &[Note]) -> Result<()> {
    let mut find = queues
        .file
        .prepare_cached("SELECT job FROM jobs WHERE id = ?1 AND queue = ?2 AND token = ?3 AND state = 'running'")?;
    let mut progress = queues.file.prepare_cached("UPDATE jobs SET progress = ?2 WHERE job = ?1")?;
    let mut log = queues.file.prepare_cached(
        "INSERT INTO logs (job, bytes) VALUES (?1, ?2) ON CONFLICT (job) DO UPDATE SET bytes = excluded.bytes",
    )?;
    let mut stored = queues.file.prepare_cached("SELECT bytes FROM logs WHERE job = ?1")?;
    for Note { lease, progress: fraction, log: lines } in notes {
        let token = lease.token.cast_signed();
        let job: Option<i64> = find.query_row((&lease.id, &lease.queue, token), |row| row.get(0)).optional()?;
        let Some(job) = job else { continue };
        if let Some(fraction) = fraction {
            progress.execute((job, fraction))?;
        }
        if !lines.is_empty() {
            let before: Option<Vec<u8>> = stored.query_row([job], |row| row.get(0)).optional()?;
            log.execute((job, lines.append_to(before.unwrap_or_default())))?;
        }
    }
    Ok(())
}
