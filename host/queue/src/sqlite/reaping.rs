//! What is done with leases that were given: extended, asked to end, taken over when they have expired.

use afresh_protocol::OutcomeKind;
use rusqlite::{Connection, OptionalExtension, Result, Row};

use super::leasing::Filling;
use super::queue::{Queue, Queues};
use super::record::{JOB, JOB_COLUMNS, job};
use super::rows::json;
use crate::clock::Timestamp;
use crate::flow::Ending;
use crate::job::Job;
use crate::lease::{Beat, Begun, Extended, Lease, LeaseRef, LeaseRequest, Vanished};
use crate::tokens::Tokens;

pub(super) fn reap(queues: &mut Queues<'_>, request: &LeaseRequest, tokens: &Tokens) -> Result<Vec<Lease>> {
    let mut filling = Filling::new(request, tokens);
    for name in &request.queues {
        if filling.over {
            break;
        }
        reap_from(queues.of(name)?, &mut filling)?;
    }
    Ok(filling.leases)
}

fn reap_from(queue: &mut Queue<'_>, filling: &mut Filling<'_>) -> Result<()> {
    let expired: Vec<(i64, i64, Vanished)> = queue
        .file
        .prepare_cached(
            "SELECT job, payload_bytes + length(history), coalesce(worker, ''), begun FROM jobs
             WHERE queue = ?1 AND state = 'running' AND lease_until <= ?2 ORDER BY lease_until, id LIMIT ?3",
        )?
        .query_map((&queue.name, queue.now, i64::try_from(filling.left()).unwrap_or(i64::MAX)), |row| {
            Ok((row.get(0)?, row.get(1)?, Vanished { worker: row.get(2)?, begun: Begun::of_number(row.get(3)?) }))
        })?
        .collect::<Result<_>>()?;
    let mut take_over = queue.file.prepare_cached(&format!(
        "UPDATE jobs SET token = ?2, lease_until = ?3 WHERE job = ?1
             RETURNING {JOB}, (SELECT bytes FROM payloads WHERE payloads.job = jobs.job)"
    ))?;
    let (since, until) = (queue.now, queue.now.after(filling.request.duration));
    filling.reserve(expired.len());
    for (key, bytes, vanished) in expired {
        if !filling.lets_in(bytes) {
            break;
        }
        let token = filling.token();
        let read = |row: &Row<'_>| Ok((job(row)?, row.get(JOB_COLUMNS)?));
        let (record, payload) = take_over.query_row((key, token.cast_signed(), until), read)?;
        match record.unreadable {
            None => {
                let job = Job { payload, ..record.job };
                filling.push(Lease { job, token, until, since, previous_worker: Some(vanished) });
            }
            Some(reason) => bury_unreadable(queue, key, &reason)?,
        }
    }
    Ok(())
}

/// A running job whose record cannot be read must not block its queue: it is dead, where a person sees it.
pub(super) fn bury_unreadable(queue: &mut Queue<'_>, key: i64, reason: &str) -> Result<()> {
    tracing::error!(key, reason, "a job's record cannot be read; it is dead now");
    let (bytes, counted, batch): (i64, Option<String>, Option<String>) = queue
        .file
        .prepare_cached("SELECT payload_bytes + length(history), counted, batch FROM jobs WHERE job = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    queue
        .file
        .prepare_cached(
            "UPDATE jobs SET state = 'dead', outcome = ?3, finished_at = ?2, lease_until = NULL, counted = NULL
             WHERE job = ?1",
        )?
        .execute((key, queue.now, OutcomeKind::Rejected.as_str()))?;
    queue.count_dead(bytes);
    queue.member_ended(batch.as_deref(), Ending::Dead)?;
    queue.end_under(counted.as_deref().unwrap_or_default())
}

pub(super) fn extend(queues: &mut Queues<'_>, leases: &[Beat], until: Timestamp) -> Result<Vec<Extended>> {
    let mut find = queues.file.prepare_cached(
        "SELECT job, cancel FROM jobs WHERE id = ?1 AND queue = ?2 AND token = ?3 AND state = 'running'",
    )?;
    let (mut begun, mut ahead) = (Vec::new(), Vec::new());
    let mut extended = Vec::with_capacity(leases.len());
    for Beat { lease, begun: has_begun } in leases {
        let parameters = (&lease.id, &lease.queue, lease.token.cast_signed());
        let found = find.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((job, is_to_end)) = found else {
            extended.push(Extended::Lost);
            continue;
        };
        if *has_begun { &mut begun } else { &mut ahead }.push(job);
        extended.push(if is_to_end { Extended::Cancelling } else { Extended::Held });
    }
    let mut extend = queues.file.prepare_cached(
        "UPDATE jobs SET lease_until = ?1, begun = max(begun, ?2) WHERE job IN (SELECT value FROM json_each(?3))",
    )?;
    for (jobs, begun) in [(begun, Begun::Known), (ahead, Begun::No)] {
        if !jobs.is_empty() {
            extend.execute((until, begun.as_number(), json(jobs)))?;
        }
    }
    Ok(extended)
}

/// The leases of all running jobs that somebody asked to cancel.
pub(super) fn cancelling(view: &Connection) -> Result<Vec<LeaseRef>> {
    view.prepare_cached("SELECT queue, id, token FROM jobs WHERE state = 'running' AND cancel = 1")?
        .query_map([], |row| {
            let token: i64 = row.get(2)?;
            Ok(LeaseRef { queue: row.get(0)?, id: row.get(1)?, token: token.unsigned_abs() })
        })?
        .collect()
}
