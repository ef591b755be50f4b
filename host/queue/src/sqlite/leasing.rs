//! Leases given: what a request takes of queues, past the jobs that are too late, and those that a limit holds.

use rusqlite::{Result, Row, named_params};

use super::limits::{QUEUE, Room};
use super::queue::{Queue, Queues};
use super::reaping::bury_unreadable;
use super::record::{JOB, job};
use super::uniques::QUEUED;
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::lease::{Begun, Lease, LeaseRequest};
use crate::policy::KEEP_EXPIRED;
use crate::state::State;
use crate::tokens::Tokens;

/// The most jobs of a queue that a lease of fewer looks at, so that a queue of jobs that are to be held keeps nobody
/// waiting.
const LOOKED_AT: usize = 1_000;

/// What a request has been given, and may be given yet.
pub(super) struct Filling<'a> {
    pub(super) request: &'a LeaseRequest,
    tokens: &'a Tokens,
    bytes: usize,
    pub(super) leases: Vec<Lease>,
    /// Nothing more is given, though there may be more.
    pub(super) over: bool,
}

impl<'a> Filling<'a> {
    pub(super) fn new(request: &'a LeaseRequest, tokens: &'a Tokens) -> Self {
        Self { request, tokens, bytes: request.max_bytes, leases: Vec::new(), over: request.max == 0 }
    }

    /// Whether a job of this size is let in: the first is, whatever its size. One that is not ends the batch, so that
    /// smaller ones do not overtake it.
    pub(super) fn lets_in(&mut self, bytes: i64) -> bool {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes > self.bytes && !self.leases.is_empty() {
            self.over = true;
            return false;
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }

    pub(super) fn push(&mut self, lease: Lease) {
        self.leases.push(lease);
        self.over |= self.leases.len() == self.request.max;
    }

    /// The fencing token of the next lease.
    pub(super) fn token(&self) -> u64 {
        self.tokens.take(1)
    }

    pub(super) fn left(&self) -> usize {
        self.request.max - self.leases.len()
    }
}

/// A queued job that may be leased.
struct Candidate {
    job: i64,
    id: JobId,
    task: String,
    key: Option<String>,
    priority: i32,
    place: i64,
    starts: u32,
    start_by: Option<Timestamp>,
    unique_key: Option<String>,
    unique_scope: Option<String>,
    bytes: i64,
}

impl Candidate {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            job: row.get(0)?,
            id: row.get(1)?,
            task: row.get(2)?,
            key: row.get(3)?,
            priority: row.get(4)?,
            place: row.get(5)?,
            starts: row.get(6)?,
            start_by: row.get(7)?,
            unique_key: row.get(8)?,
            unique_scope: row.get(9)?,
            bytes: row.get(10)?,
        })
    }
}

pub(super) fn lease(queues: &mut Queues<'_>, request: &LeaseRequest, tokens: &Tokens) -> Result<Vec<Lease>> {
    let mut filling = Filling::new(request, tokens);
    for name in &request.queues {
        if filling.over {
            break;
        }
        lease_from(queues.of(name)?, &mut filling)?;
    }
    Ok(filling.leases)
}

fn lease_from(queue: &mut Queue<'_>, filling: &mut Filling<'_>) -> Result<()> {
    let most_looked_at = filling.left().max(LOOKED_AT);
    let mut left = filling.left().min(usize::try_from(queue.room(QUEUE)?.free).unwrap_or(usize::MAX));
    let before = filling.leases.len();
    let mut looked_at = 0;
    while left > 0 && looked_at < most_looked_at && !filling.over {
        // A batch at a time: one that is held may let others back into the queue.
        let candidates = candidates(queue, left.min(most_looked_at - looked_at))?;
        if candidates.is_empty() {
            break;
        }
        for candidate in candidates {
            looked_at += 1;
            match start(queue, filling, &candidate)? {
                Start::Given => left -= 1,
                Start::NotNow => {}
                Start::NoRoom => break,
            }
        }
    }
    // The caller does not look into the next queue before this one.
    filling.over |= looked_at >= most_looked_at;
    if queue.rule(QUEUE)?.is_some() {
        let given = filling.leases.len() - before;
        if given > 0 {
            queue.start_under(QUEUE, given as i64)?;
        }
        let Room { free, next } = queue.room(QUEUE)?;
        if free == 0 && queue.has_queued()? {
            queue.look_again(QUEUE, next)?;
        }
    }
    Ok(())
}

fn candidates(queue: &Queue<'_>, limit: usize) -> Result<Vec<Candidate>> {
    queue
        .file
        .prepare_cached(
            "SELECT job, id, task, key, priority, place, starts, start_by, unique_key, unique_scope,
                 payload_bytes + length(history)
             FROM jobs WHERE queue = ?1 AND state = 'queued' AND held IS NULL
             ORDER BY priority DESC, place, id LIMIT ?2",
        )?
        .query_map((&queue.name, i64::try_from(limit).unwrap_or(i64::MAX)), Candidate::read)?
        .collect()
}

/// What became of a candidate.
enum Start {
    Given,
    NotNow,
    NoRoom,
}

/// Leases a candidate, unless it is too late for it, a limit keeps it from starting, or it is too large.
fn start(queue: &mut Queue<'_>, filling: &mut Filling<'_>, candidate: &Candidate) -> Result<Start> {
    let names = queue.limits_of(&candidate.task, candidate.key.as_deref())?;
    let limit = held_by(queue, &names)?;
    if candidate.starts == 0 && candidate.start_by.is_some_and(|at| at <= queue.now) {
        queue.end_unrun(&queue.leaving(candidate.job)?, State::Expired, KEEP_EXPIRED)?;
        return Ok(Start::NotNow);
    }
    if let Some((name, next)) = limit {
        queue.hold(candidate.job, name, next, &names)?;
        return Ok(Start::NotNow);
    }
    if !filling.lets_in(candidate.bytes) {
        return Ok(Start::NoRoom);
    }
    give(queue, filling, candidate, &names)
}

/// The first limit that keeps a job from starting, and when there may be room under it.
fn held_by<'n>(queue: &mut Queue<'_>, names: &'n [String]) -> Result<Option<(&'n str, i64)>> {
    for name in names {
        let Room { free, next } = queue.room(name)?;
        if free < 1 {
            return Ok(Some((name, next)));
        }
    }
    Ok(None)
}

fn give(queue: &mut Queue<'_>, filling: &mut Filling<'_>, candidate: &Candidate, names: &[String]) -> Result<Start> {
    let (token, until) = (filling.token(), queue.now.after(filling.request.duration));
    let at_once = filling.leases.len() < filling.request.begin;
    let begun = if at_once { Begun::Presumed } else { Begun::No };
    let counted = (!names.is_empty()).then(|| names.join("\n"));
    let (_, job) = queue
        .file
        .prepare_cached(&format!(
            "UPDATE jobs SET state = 'running', starts = starts + 1, worker = :worker, token = :token,
                 lease_until = :until, begun = :begun, counted = :counted, progress = NULL
             WHERE job = :job RETURNING {JOB}"
        ))?
        .query_row(
            named_params! {
                ":job": candidate.job, ":worker": filling.request.worker, ":token": token.cast_signed(), ":until": until,
                ":begun": begun.as_number(), ":counted": counted,
            },
            job,
        )?;
    for name in names {
        queue.start_under(name, 1)?;
    }
    if candidate.unique_scope.as_deref() == Some(QUEUED) {
        queue.let_go(&candidate.id, candidate.unique_key.as_deref())?;
    }
    queue.take_turn(candidate.priority, candidate.place)?;
    match job {
        Ok(job) => {
            filling.push(Lease { job, token, until, since: queue.now, previous_worker: None });
            Ok(Start::Given)
        }
        Err(reason) => {
            bury_unreadable(queue, candidate.job, &reason)?;
            Ok(Start::NotNow)
        }
    }
}
