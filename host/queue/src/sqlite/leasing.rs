//! Leases given: what a request takes of queues, past the jobs that are too late, and those that a limit holds.

use rusqlite::{Result, Row};

use super::limits::{QUEUE, Room};
use super::queue::{Queue, Queues};
use super::reaping::bury_unreadable;
use super::record::{JOB, JOB_COLUMNS, Record, job};
use super::rows::json;
use super::uniques::QUEUED;
use crate::clock::Timestamp;
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
    /// Of those that were reserved.
    next_token: u64,
    bytes: usize,
    pub(super) leases: Vec<Lease>,
    /// Nothing more is given, though there may be more.
    pub(super) over: bool,
}

impl<'a> Filling<'a> {
    pub(super) fn new(request: &'a LeaseRequest, tokens: &'a Tokens) -> Self {
        Self { request, tokens, next_token: 0, bytes: request.max_bytes, leases: Vec::new(), over: request.max == 0 }
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

    /// Sets tokens apart for so many leases.
    pub(super) fn reserve(&mut self, leases: usize) {
        self.next_token = self.tokens.take(leases);
    }

    /// The fencing token of the next lease, of those that were reserved: one more than the one before.
    pub(super) fn token(&mut self) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        token
    }

    pub(super) fn left(&self) -> usize {
        self.request.max - self.leases.len()
    }
}

/// A queued job that may be leased.
struct Candidate {
    record: Record,
    key: Option<String>,
    priority: i32,
    place: i64,
    start_by: Option<Timestamp>,
    unique_key: Option<String>,
    unique_scope: Option<String>,
    bytes: i64,
}

impl Candidate {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            record: job(row)?,
            key: row.get(JOB_COLUMNS)?,
            priority: row.get(JOB_COLUMNS + 1)?,
            place: row.get(JOB_COLUMNS + 2)?,
            start_by: row.get(JOB_COLUMNS + 3)?,
            unique_key: row.get(JOB_COLUMNS + 4)?,
            unique_scope: row.get(JOB_COLUMNS + 5)?,
            bytes: row.get(JOB_COLUMNS + 6)?,
        })
    }
}

/// Jobs that have been given, whose rows are yet to say so.
#[derive(Default)]
struct Given {
    /// One after the other, each with what its jobs have in common.
    groups: Vec<Group>,
    /// Those whose records cannot be read, and why.
    unreadable: Vec<(i64, String)>,
}

/// Jobs with tokens in a row.
struct Group {
    jobs: Vec<i64>,
    first_token: u64,
    begun: Begun,
    /// The limits they run under, one a line.
    counted: Option<String>,
}

impl Given {
    fn push(&mut self, job: i64, token: u64, begun: Begun, counted: Option<String>) {
        match self.groups.last_mut() {
            Some(group) if group.begun == begun && group.counted == counted => group.jobs.push(job),
            _ => self.groups.push(Group { jobs: vec![job], first_token: token, begun, counted }),
        }
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
        let mut given = Given::default();
        filling.reserve(candidates.len());
        for candidate in candidates {
            looked_at += 1;
            match start(queue, filling, &mut given, candidate)? {
                Start::Given => left -= 1,
                Start::NotNow => {}
                Start::NoRoom => break,
            }
        }
        write(queue, filling.request, given)?;
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
        .prepare_cached(&format!(
            "SELECT {JOB}, key, priority, place, start_by, unique_key, unique_scope, payload_bytes + length(history)
             FROM jobs WHERE queue = ?1 AND state = 'queued' AND held IS NULL
             ORDER BY priority DESC, place, id LIMIT ?2"
        ))?
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
fn start(queue: &mut Queue<'_>, filling: &mut Filling<'_>, given: &mut Given, candidate: Candidate) -> Result<Start> {
    let Record { row, job, .. } = &candidate.record;
    let names = queue.limits_of(&job.task, candidate.key.as_deref())?;
    let limit = held_by(queue, &names)?;
    if job.counters.starts == 0 && candidate.start_by.is_some_and(|at| at <= queue.now) {
        queue.end_unrun(&queue.leaving(*row)?, State::Expired, KEEP_EXPIRED)?;
        return Ok(Start::NotNow);
    }
    if let Some((name, next)) = limit {
        queue.hold(*row, name, next, &names)?;
        return Ok(Start::NotNow);
    }
    if !filling.lets_in(candidate.bytes) {
        return Ok(Start::NoRoom);
    }
    give(queue, filling, given, candidate, &names)
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

fn give(
    queue: &mut Queue<'_>,
    filling: &mut Filling<'_>,
    given: &mut Given,
    candidate: Candidate,
    names: &[String],
) -> Result<Start> {
    let Record { row, mut job, unreadable } = candidate.record;
    let (token, until) = (filling.token(), queue.now.after(filling.request.duration));
    let at_once = filling.leases.len() < filling.request.begin;
    let begun = if at_once { Begun::Presumed } else { Begun::No };
    given.push(row, token, begun, (!names.is_empty()).then(|| names.join("\n")));
    for name in names {
        queue.start_under(name, 1)?;
    }
    if candidate.unique_scope.as_deref() == Some(QUEUED) {
        queue.let_go(&job.id, candidate.unique_key.as_deref())?;
    }
    queue.take_turn(candidate.priority, candidate.place)?;
    if let Some(reason) = unreadable {
        given.unreadable.push((row, reason));
        return Ok(Start::NotNow);
    }
    let mut payload = queue.file.prepare_cached("SELECT bytes FROM payloads WHERE job = ?1")?;
    job.payload = payload.query_row([row], |row| row.get(0))?;
    job.counters.starts += 1;
    filling.push(Lease { job, token, until, since: queue.now, previous_worker: None });
    Ok(Start::Given)
}

/// Writes down what was given.
fn write(queue: &mut Queue<'_>, request: &LeaseRequest, given: Given) -> Result<()> {
    let mut update = queue.file.prepare_cached(
        "UPDATE jobs SET state = 'running', starts = starts + 1, worker = ?1, token = ?2 + given.key, lease_until = ?3,
             begun = ?4, counted = ?5, progress = NULL
         FROM json_each(?6) AS given WHERE job = given.value",
    )?;
    let until = queue.now.after(request.duration);
    for Group { jobs, first_token, begun, counted } in given.groups {
        let first_token = first_token.cast_signed();
        update.execute((&request.worker, first_token, until, begun.as_number(), counted, json(jobs)))?;
    }
    given.unreadable.iter().try_for_each(|(job, reason)| bury_unreadable(queue, *job, reason))
}
