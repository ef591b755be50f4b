//! What a task enqueues while it runs: checked as it asks, kept until its attempt has ended, and enqueued only if that
//! succeeded.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use afresh_protocol::enqueue::Request;
use afresh_queue::job::DEFAULT_QUEUE;
use afresh_queue::{JobId, JobOptions, NewJob, Timestamp};
use afresh_sandbox::{Outbox, Refusal};

/// The outbox of one attempt.
pub struct Enqueuing {
    /// The queues it may enqueue into.
    queues: Vec<String>,
    max_payload: usize,
    asked: Mutex<Vec<(Request, Vec<u8>)>>,
}

impl Enqueuing {
    /// An outbox for jobs in these queues, with payloads of at most so many bytes.
    pub fn new(queues: Vec<String>, max_payload: usize) -> Self {
        Self { queues, max_payload, asked: Mutex::default() }
    }

    /// The jobs that were asked for, if they become visible at `now`.
    pub fn jobs(&self, now: Timestamp) -> Vec<NewJob> {
        std::mem::take(&mut *self.lock()).into_iter().map(|(request, payload)| job(request, payload, now)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Request, Vec<u8>)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox for Enqueuing {
    fn put(&self, spec: &[u8], payload: &[u8]) -> Result<(), Refusal> {
        let request = Request::parse(spec).map_err(|_| Refusal::NotAJob)?;
        let queue = request.queue.as_deref().unwrap_or(DEFAULT_QUEUE);
        if !self.queues.iter().any(|allowed| allowed == queue) {
            return Err(Refusal::NotAllowed);
        }
        if payload.len() > self.max_payload {
            return Err(Refusal::OverLimit);
        }
        // What a broker would refuse later would fail an attempt that has succeeded.
        job(request.clone(), Vec::new(), Timestamp::now()).validate(0).map_err(|_| Refusal::NotAJob)?;
        self.lock().push((request, payload.to_vec()));
        Ok(())
    }
}

fn job(request: Request, payload: Vec<u8>, now: Timestamp) -> NewJob {
    let after = |millis| now.after(Duration::from_millis(millis));
    let id = request.id.and_then(|id| id.parse().ok()).unwrap_or_else(JobId::fresh);
    let options = JobOptions {
        priority: request.priority.unwrap_or_default(),
        max_attempts: request.max_attempts,
        min_backoff_ms: request.min_backoff_ms,
        max_backoff_ms: request.max_backoff_ms,
        timeout_ms: request.timeout_ms,
        memory: request.memory,
    };
    let job = NewJob::new(request.task, payload).id(id).options(options);
    NewJob {
        queue: request.queue.unwrap_or(job.queue),
        run_at: request.delay_ms.map(after),
        key: request.key,
        expires_at: request.expires_in_ms.map(after),
        ..job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jobs_that_can_be_in_queues_that_are_allowed_are_taken() {
        let outbox = Enqueuing::new(vec!["mail".to_owned()], 3);
        for (spec, payload, answer) in [
            (r#"{"task":"t","queue":"mail"}"#, "abc", Ok(())),
            (r#"{"task":"t","queue":"mail"}"#, "abcd", Err(Refusal::OverLimit)),
            (r#"{"task":"t","queue":"other"}"#, "", Err(Refusal::NotAllowed)),
            (r#"{"task":"t"}"#, "", Err(Refusal::NotAllowed)),
            (r#"{"task":"../t","queue":"mail"}"#, "", Err(Refusal::NotAJob)),
            (r#"{"task":"t","queue":"mail","delay_ms":99999999999999}"#, "", Err(Refusal::NotAJob)),
            ("shout", "", Err(Refusal::NotAJob)),
        ] {
            assert_eq!(outbox.put(spec.as_bytes(), payload.as_bytes()), answer, "{spec}");
        }
        let jobs = outbox.jobs(Timestamp(0));
        assert_eq!((jobs.len(), jobs[0].payload.as_slice(), jobs[0].queue.as_str()), (1, &b"abc"[..], "mail"));
        assert!(outbox.jobs(Timestamp(0)).is_empty());
    }

    #[test]
    fn delays_begin_when_the_job_becomes_visible() {
        let outbox = Enqueuing::new(vec!["default".to_owned()], 0);
        let spec = r#"{"task":"t","id":"a.1","delay_ms":5,"expires_in_ms":7,"priority":3,"key":"k"}"#;
        outbox.put(spec.as_bytes(), b"").unwrap();
        let job = outbox.jobs(Timestamp(1_000)).remove(0);
        assert_eq!((job.run_at, job.expires_at), (Some(Timestamp(6_000)), Some(Timestamp(8_000))));
        assert_eq!((job.id.as_str(), job.options.priority, job.key.as_deref()), ("a.1", 3, Some("k")));
    }
}
