//! The verbs that accept jobs, and note how far they are.

use rusqlite::{OptionalExtension, Result};

use super::queue::Queues;
use crate::broker::{Enqueued, Note};
use crate::job::NewJob;

pub(super) fn enqueue(queues: &mut Queues<'_>, jobs: &[NewJob]) -> Result<Vec<Enqueued>> {
    let mut enqueued = Vec::with_capacity(jobs.len());
    for of_one_queue in jobs.chunk_by(|one, next| one.queue == next.queue) {
        let queue = queues.of(&of_one_queue[0].queue)?;
        enqueued.extend(queue.accept_all(of_one_queue.iter().map(|job| (job, None)))?);
    }
    Ok(enqueued)
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
