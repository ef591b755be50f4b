//! What is to follow a job, where it is written as JSON: an array of jobs without payload and time.

use afresh_queue::{JobId, Link, NewJob};
use serde_json::value::RawValue;

use super::lines::read_job;
use super::wishes::Wishes;

/// The id of the job that follows `first` at this place, from 0, where none is given.
///
/// # Errors
/// A sentence, where it would be too long.
pub(super) fn id(first: &JobId, place: usize) -> Result<JobId, String> {
    let id = format!("{first}.then{}", place + 1);
    id.parse().map_err(|reason| format!("`{id}`, which is to follow, cannot be an id ({reason}): take a shorter one"))
}

/// The jobs that are to follow `first`.
///
/// # Errors
/// A sentence that says which of them is wrong, and what.
pub(super) fn read(first: &JobId, written: &RawValue) -> Result<Vec<Link>, String> {
    let all: Vec<&RawValue> =
        serde_json::from_str(written.get()).map_err(|_| "`then` must be an array of jobs".to_owned())?;
    let one = |(place, written)| {
        let link = id(first, place).and_then(|id| read_job(written, &Wishes::default().named(id)).and_then(link));
        link.map_err(|reason| format!("job {} of `then`: {reason}", place + 1))
    };
    all.into_iter().enumerate().map(one).collect()
}

/// The job as one that follows.
fn link(job: NewJob) -> Result<Link, String> {
    let NewJob { id, queue, task, payload, run_at, options, key, unique, expires_at, then } = job;
    if queue != afresh_queue::job::DEFAULT_QUEUE {
        return Err(format!("it is for the queue {queue}, and all of a chain is in one queue: leave `queue` away"));
    }
    if !payload.is_empty() {
        return Err("its payload is the reply of the job before: leave `payload` away".to_owned());
    }
    if run_at.is_some() || unique.is_some() || expires_at.is_some() || !then.is_empty() {
        return Err("one that follows takes no time, expiry, unique key or `then` of its own".to_owned());
    }
    Ok(Link { id, task, key, options })
}
