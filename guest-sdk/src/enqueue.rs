//! How a task enqueues further jobs: under ids that are the same in each attempt, and with refusals told in words.

use afresh_protocol::abi::Refusal;
use afresh_protocol::enqueue::{MAX_ID_BYTES, Request};

use crate::context::{Context, Listener};
use crate::error::TaskError;
use crate::host;
use crate::job::NewJob;

impl Context {
    /// Enqueues a job, and answers its id.
    ///
    /// The job becomes visible only if this attempt succeeds, together with its reply; if the attempt fails, is snoozed or
    /// is lost, nothing was enqueued. So a task may enqueue first and fail later, and its retry does it all again.
    ///
    /// A job without an id gets `{job_id}.{n}`, where it is the `n`th of this attempt, from 1. Another attempt that
    /// enqueues the same jobs in the same order enqueues them under the same ids.
    ///
    /// ```
    /// # use afresh::{Context, NewJob};
    /// let ctx = Context::test().with_job_id("gallery-7");
    /// assert_eq!(ctx.enqueue(NewJob::raw("resize", "a.png")).unwrap(), "gallery-7.1");
    /// assert_eq!(ctx.enqueue(NewJob::raw("publish", "").id("publish:7")).unwrap(), "publish:7");
    /// assert_eq!(ctx.enqueue(NewJob::raw("resize", "b.png")).unwrap(), "gallery-7.3");
    /// ```
    ///
    /// # Errors
    /// A rejection, whose text says what to do, where the operator has not allowed it, where it is one job too many or a
    /// payload too large, and where the job has a name or a number that no job can have. Another attempt would meet the
    /// same wall, after doing the same work again; so the job waits among the dead instead, for an operator to allow it
    /// and to retry it. A task that can do without may go on.
    pub fn enqueue(&self, job: NewJob) -> Result<String, TaskError> {
        let task = job.request.task.clone();
        let failed = |why| TaskError::reject(format!("the job for `{task}` was not enqueued: {why}"));
        self.hand_over(job).map_err(failed)
    }

    fn hand_over(&self, NewJob { mut request, payload }: NewJob) -> Result<String, String> {
        let id = request.id.take().map_or_else(|| self.next_id(), Ok)?;
        request.id = Some(id.clone());
        request.check()?;
        let answer = match &self.listener {
            Listener::Host => host::enqueue(&request.to_spec(), &payload),
            Listener::Test(heard) => heard.enqueue(&request, &payload),
        };
        answer.map_err(|refusal| self.reason(refusal, &request, payload.len()))?;
        self.enqueued.set(self.enqueued.get() + 1);
        Ok(id)
    }

    /// The id of the next job that has none of its own.
    fn next_id(&self) -> Result<String, String> {
        let id = format!("{}.{}", self.job_id, self.enqueued.get() + 1);
        if id.len() > MAX_ID_BYTES {
            return Err(format!(
                "its id would be this job's with a number, which is longer than {MAX_ID_BYTES} bytes; \
                 give it one of its own with `NewJob::id`"
            ));
        }
        Ok(id)
    }

    fn reason(&self, refusal: Refusal, request: &Request, payload_bytes: usize) -> String {
        match refusal {
            Refusal::NotAllowed => {
                let queue = request.queue.as_deref().unwrap_or("default");
                // A name with a dot is a key of TOML only in quotes.
                let quote = if self.task().contains('.') { "\"" } else { "" };
                format!(
                    "this task may not enqueue into the queue {queue}; allow it with \
                     `[tasks.{quote}{}{quote}] enqueue = [\"{queue}\"]` in the worker's afresh.toml, then retry this job",
                    self.task()
                )
            }
            Refusal::OverLimit => format!(
                "it goes over a limit of the host, with {payload_bytes} bytes of payload, after {} other jobs of this \
                 attempt; enqueue fewer, or store the data elsewhere and pass a reference",
                self.enqueued.get()
            ),
            Refusal::NotAJob => {
                "the host does not take it for a job; is the host older than this module's SDK?".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_be_too_long_must_be_given() {
        let ctx = Context::test().with_job_id("i".repeat(126));
        assert_eq!(ctx.enqueue(NewJob::raw("a", "")).unwrap().len(), 128);
        let ctx = Context::test().with_job_id("i".repeat(127));
        let error = ctx.enqueue(NewJob::raw("a", "")).unwrap_err();
        assert!(error.is_rejected() && error.to_string().contains("longer than 128 bytes; give it one"), "{error}");
        assert_eq!(ctx.enqueue(NewJob::raw("a", "").id("short")).unwrap(), "short");
    }

    #[test]
    fn what_to_allow_is_said_as_it_is_written() {
        let refused = |task: &str, job| {
            let ctx = Context::test().with_task(task).with_enqueue_refused(Refusal::NotAllowed);
            ctx.enqueue(job).unwrap_err().to_string()
        };
        let says = refused("gallery", NewJob::raw("a", "").queue("mail"));
        assert!(says.contains("`[tasks.gallery] enqueue = [\"mail\"]` in the worker's afresh.toml"), "{says}");
        let says = refused("big.gallery", NewJob::raw("a", ""));
        assert!(says.contains("`[tasks.\"big.gallery\"] enqueue = [\"default\"]`"), "{says}");
    }

    #[test]
    fn what_no_job_can_have_is_refused_with_the_reason_before_the_host_is_asked() {
        let ctx = Context::test();
        for (job, says) in [
            (NewJob::raw("re size", ""), "the job for `re size` was not enqueued: its task: `re size` is not a name"),
            (NewJob::raw("a", "").queue(""), "its queue"),
            (NewJob::raw("a", "").id("a b"), "its id"),
            (NewJob::raw("a", "").key("a b"), "its key"),
            (NewJob::raw("a", "").priority(1001), "from -1000 to 1000"),
            (NewJob::raw("a", "").max_attempts(0), "its max_attempts is 0"),
        ] {
            let error = ctx.enqueue(job).unwrap_err();
            assert!(error.is_rejected() && error.to_string().contains(says), "{error} does not say {says:?}");
        }
        assert_eq!(ctx.enqueued(), []);
    }
}
