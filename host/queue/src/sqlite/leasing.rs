//! Leases: given, taken over when they have expired, extended.

use afresh_protocol::OutcomeKind;
use rusqlite::{Result, ToSql, Transaction, named_params};

use super::record::{JOB, job};
use crate::clock::Timestamp;
use crate::job::Job;
use crate::lease::{Lease, LeaseRef, LeaseRequest};

pub(super) fn lease(file: &Transaction<'_>, now: Timestamp, request: &LeaseRequest) -> Result<Vec<Lease>> {
    let find = format!(
        "SELECT {JOB}, NULL AS previous FROM jobs JOIN payloads USING (job)
         WHERE queue = ?1 AND state = 'queued' ORDER BY priority DESC, place LIMIT ?2"
    );
    take(file, now, request, &find, 1)
}

pub(super) fn reap(file: &Transaction<'_>, now: Timestamp, request: &LeaseRequest) -> Result<Vec<Lease>> {
    let find = format!(
        "SELECT {JOB}, worker AS previous FROM jobs JOIN payloads USING (job)
         WHERE queue = ?1 AND state = 'running' AND lease_until <= ?3 ORDER BY lease_until, id LIMIT ?2"
    );
    take(file, now, request, &find, 0)
}

/// Leases what `find` finds (?1 the queue, ?2 how many, ?3 now), queue by queue, until the request is filled; each lease
/// counts `starts`.
fn take(file: &Transaction<'_>, now: Timestamp, request: &LeaseRequest, find: &str, starts: u32) -> Result<Vec<Lease>> {
    let mut room = Room { jobs: request.max, bytes: request.max_bytes, untouched: true };
    let mut leases = Vec::new();
    for queue in &request.queues {
        let found = look(file, now, queue, find, &mut room)?;
        leases.extend(give(file, now, request, queue, found, starts)?);
        if room.jobs == 0 {
            break;
        }
    }
    Ok(leases)
}

/// What a request has room for yet.
struct Room {
    jobs: usize,
    bytes: usize,
    untouched: bool,
}

impl Room {
    /// Whether a job of this size is let in: the first is, whatever its size. One that is not ends the batch, so that
    /// smaller ones do not overtake it.
    fn lets_in(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes && !self.untouched {
            self.jobs = 0;
            return false;
        }
        *self = Self { jobs: self.jobs - 1, bytes: self.bytes.saturating_sub(bytes), untouched: false };
        true
    }
}

/// A job that is to be leased, by its row's key, and who held it before.
type Found = (i64, Job, Option<String>);

fn look(file: &Transaction<'_>, now: Timestamp, queue: &str, find: &str, room: &mut Room) -> Result<Vec<Found>> {
    let mut find = file.prepare_cached(find)?;
    let most = i64::try_from(room.jobs).unwrap_or(i64::MAX);
    let parameters: [&dyn ToSql; 3] = [&queue, &most, &now];
    let asked_for = find.parameter_count();
    let mut found = Vec::new();
    // Rows are computed one by one, so what is not let in costs the reading of one payload too many at most.
    let mut rows = find.query(&parameters[..asked_for])?;
    while let Some(row) = rows.next()? {
        let (key, job) = job(row)?;
        let job = match job {
            Ok(job) => job,
            Err(reason) => {
                bury_unreadable(file, now, key, &reason)?;
                continue;
            }
        };
        if !room.lets_in(job.payload.len() + row.get_ref("history")?.as_blob()?.len()) {
            break;
        }
        found.push((key, job, row.get("previous")?));
    }
    Ok(found)
}

fn give(
    file: &Transaction<'_>,
    now: Timestamp,
    request: &LeaseRequest,
    queue: &str,
    found: Vec<Found>,
    starts: u32,
) -> Result<Vec<Lease>> {
    let mut give = file.prepare_cached(
        "UPDATE jobs SET state = 'running', starts = starts + :starts, worker = :worker, token = :token,
             lease_until = :until
         WHERE job = :job",
    )?;
    let until = now.after(request.duration);
    let mut token = last_token(file, queue, found.len())? - found.len() as i64;
    let mut leases = Vec::with_capacity(found.len());
    for (key, mut job, previous_worker) in found {
        token += 1;
        give.execute(named_params! {
            ":job": key, ":starts": starts, ":worker": request.worker, ":token": token, ":until": until,
        })?;
        job.counters.starts = job.counters.starts.saturating_add(starts);
        leases.push(Lease { job, token: token.unsigned_abs(), until, since: now, previous_worker });
    }
    Ok(leases)
}

/// Gives `count` new tokens out in a queue; answers the last of them.
fn last_token(file: &Transaction<'_>, queue: &str, count: usize) -> Result<i64> {
    if count == 0 {
        return Ok(0);
    }
    file.prepare_cached("UPDATE queues SET last_token = last_token + ?2 WHERE name = ?1 RETURNING last_token")?
        .query_row((queue, count as i64), |row| row.get(0))
}

/// A record that cannot be read must not block its queue: it is dead, where a person sees it.
fn bury_unreadable(file: &Transaction<'_>, now: Timestamp, key: i64, reason: &str) -> Result<()> {
    tracing::error!(key, reason, "a job's record cannot be read; it is dead now");
    file.prepare_cached(
        "UPDATE jobs SET state = 'dead', outcome = ?3, finished_at = ?2, lease_until = NULL WHERE job = ?1",
    )?
    .execute((key, now, OutcomeKind::Rejected.as_str()))
    .map(drop)
}

pub(super) fn extend(file: &Transaction<'_>, leases: &[LeaseRef], until: Timestamp) -> Result<Vec<bool>> {
    let mut extend = file.prepare_cached(
        "UPDATE jobs SET lease_until = ?4 WHERE id = ?1 AND queue = ?2 AND token = ?3 AND state = 'running'",
    )?;
    leases
        .iter()
        .map(|lease| Ok(extend.execute((&lease.id, &lease.queue, lease.token.cast_signed(), until))? == 1))
        .collect()
}
