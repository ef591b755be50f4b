//! Settlements carried out: where each sends its job, and what follows from that. The jobs' rows are written together.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::{OptionalExtension, Result, Row};

use super::queue::Queues;
use super::rows::Rows;
use super::uniques::TIME;
use super::verbs::enqueue;
use crate::broker::{Settle, Settled};
use crate::clock::Timestamp;
use crate::flow::Ending;
use crate::job::NewJob;
use crate::lease::LeaseRef;
use crate::policy::{Counters, KEEP_CANCELLED, Settlement};
use crate::state::State;

/// A settlement as the file's thread takes it. Everybody's writes wait for that thread, so what has to be encoded is
/// encoded by the caller.
pub(super) struct Settling {
    lease: LeaseRef,
    settlement: Settlement,
    counters: Counters,
    history: Vec<u8>,
    outcome: &'static str,
    /// Of the error, where the job is to be buried.
    fingerprint: String,
    jobs: Vec<NewJob>,
}

impl Settling {
    pub(super) fn new(settle: &Settle) -> Self {
        let is_buried = settle.settlement == Settlement::Bury;
        Self {
            lease: settle.lease.clone(),
            settlement: settle.settlement.clone(),
            counters: settle.counters,
            history: settle.history.bytes.clone(),
            outcome: settle.outcome.as_str(),
            fingerprint: if is_buried { settle.history.fingerprint.clone() } else { String::new() },
            jobs: settle.jobs.clone(),
        }
    }
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

impl Running {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
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
    }
}

/// A job that ran, and where it stands from now on.
struct Moved<'s> {
    job: i64,
    settling: &'s Settling,
    to: Destination<'s>,
    place: Option<i64>,
    finished_at: Option<Timestamp>,
}

const MOVED: Rows = Rows {
    before: "UPDATE jobs SET state = column2, place = coalesce(column3, place), run_at = coalesce(column4, run_at),
                 finished_at = column5, expires_at = column6, reply = column7, starts = column8, failures = column9,
                 waits = column10, lost = column11, history = column12, outcome = column13, fingerprint = column14,
                 lease_until = NULL, cancel = 0, counted = NULL
             FROM (VALUES",
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    after: ") WHERE job = column1",
};

pub(super) fn settle(queues: &mut Queues<'_>, settlements: &[Settling]) -> Result<Vec<Settled>> {
    let file = queues.file;
    let mut find = file.prepare_cached(
        "SELECT job, priority, key, unique_key, unique_scope, cancel, counted, payload_bytes, batch, then_links FROM jobs
         WHERE id = ?1 AND queue = ?2 AND token = ?3 AND state = 'running'",
    )?;
    let (mut moved, mut ended, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let mut settled = Vec::with_capacity(settlements.len());
    for settling in settlements {
        let lease = &settling.lease;
        let parameters = (&lease.id, &lease.queue, lease.token.cast_signed());
        // One that was handed over twice still runs, as far as the file knows.
        let found = find.query_row(parameters, Running::read).optional()?.filter(|job| seen.insert(job.job));
        settled.push(if found.is_some() { Settled::Done } else { Settled::Stale });
        if let Some(job) = found {
            enqueue(queues, &settling.jobs)?;
            moved.extend(move_on(queues, settling, &job)?);
            ended.push((&lease.queue, job.counted));
        }
    }
    MOVED.write(file, &[], &moved, |Moved { job, settling, to, place, finished_at }| {
        let Counters { starts, failures, waits, lost } = &settling.counters;
        [
            job,
            &to.state,
            place,
            &to.run_at,
            finished_at,
            &to.expires_at,
            &to.reply,
            starts,
            failures,
            waits,
            lost,
            &settling.history,
            &settling.outcome,
            &settling.fingerprint,
        ]
    })?;
    // After all of them: what is let back finds its place among those that came back.
    for (queue, counted) in ended {
        let queue = queues.of(queue)?;
        queue.end_under(counted.as_deref().unwrap_or_default())?;
        // There is room again under the queue's own limit, if it has one.
        queue.wake |= queue.limited;
    }
    Ok(settled)
}

/// Sends a job that ran where its settlement says: its row is to be written, unless it is gone.
fn move_on<'s>(queues: &mut Queues<'_>, settling: &'s Settling, job: &Running) -> Result<Option<Moved<'s>>> {
    let (file, now) = (queues.file, queues.now);
    let queue = queues.of(&settling.lease.queue)?;
    // One that somebody asked to cancel does not run again.
    let to = match &settling.settlement {
        Settlement::Retry { .. } | Settlement::Release if job.cancel => Destination::of(&Settlement::Cancel, now),
        settlement => Destination::of(settlement, now),
    };
    if to.state.is_terminal() && job.unique_scope.as_deref() != Some(TIME) {
        queue.let_go(&settling.lease.id, job.unique_key.as_deref())?;
    }
    let is_kept = to.state != State::Succeeded || to.expires_at != Some(now);
    if !is_kept {
        file.prepare_cached("DELETE FROM jobs WHERE job = ?1")?.execute([job.job])?;
    }
    if to.state == State::Dead {
        queue.count_dead(job.payload_bytes + settling.history.len() as i64);
    }
    let place = if to.behind_the_others { Some(queue.place(job.priority, job.key.as_deref())?) } else { None };
    queue.wake |= !to.state.is_terminal();
    if let Some(ending) = Ending::of(to.state) {
        queue.flow_on(job.batch.as_deref(), &job.then, ending, to.reply)?;
    }
    let finished_at = to.state.is_terminal().then_some(now);
    Ok(is_kept.then_some(Moved { job: job.job, settling, to, place, finished_at }))
}

/// Where a settlement sends a job.
struct Destination<'s> {
    state: State,
    /// Whether it takes a new place in its queue.
    behind_the_others: bool,
    run_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    reply: Option<&'s [u8]>,
}

impl<'s> Destination<'s> {
    fn of(settlement: &'s Settlement, now: Timestamp) -> Self {
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
