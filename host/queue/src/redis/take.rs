//! Leasing, and taking over: jobs come from the queues in turn. One that cannot be served stops no other.

use afresh_protocol::{ErrorRecord, OutcomeKind, Usage};

use super::leased::{Leased, Unreadable};
use super::record::{self, micros};
use super::scripts::{self, Script};
use super::{BATCH, RedisBroker};
use crate::broker::BrokerError;
use crate::clock::Timestamp;
use crate::history::{AttemptRecord, History};
use crate::lease::{Lease, LeaseRequest};
use crate::policy::{KEEP_CANCELLED, KEEP_EXPIRED};

impl RedisBroker {
    /// Leases from the queues in turn, or takes over their expired leases, until the request is filled. True if there
    /// may be more.
    pub(super) async fn take(
        &self,
        script: &'static Script,
        request: &LeaseRequest,
    ) -> Result<(Vec<Lease>, bool), BrokerError> {
        let mut leases = Vec::new();
        let mut bytes = request.max_bytes;
        let (mut served, mut failed) = (false, None);
        for queue in &request.queues {
            match self.take_from(queue, script, request, &mut bytes, &mut leases).await {
                Ok(true) => return Ok((leases, true)),
                Ok(false) => served = true,
                Err(error) if self.link.is_of_one_queue(&error) => failed = failed.or(Some(error)),
                // What is leased already must not be dropped, and lost; the next call will say this again.
                Err(_) if !leases.is_empty() => return Ok((leases, true)),
                Err(error) => return Err(error),
            }
        }
        match failed {
            Some(error) if !served && leases.is_empty() => Err(error),
            // To hurry back to a queue that cannot be served helps nobody.
            _ => Ok((leases, false)),
        }
    }

    /// The same from one queue; true if the request is filled, or there is more than it may carry.
    async fn take_from(
        &self,
        queue: &str,
        script: &'static Script,
        request: &LeaseRequest,
        bytes: &mut usize,
        leases: &mut Vec<Lease>,
    ) -> Result<bool, BrokerError> {
        loop {
            let max = request.max.saturating_sub(leases.len()).min(BATCH);
            if max == 0 {
                return Ok(true);
            }
            let mut call = self.call(script, queue);
            call.arg(max).arg(*bytes).arg(micros(request.duration)).arg(&request.worker).arg(leases.len());
            let token = self.tokens.take(max);
            call.arg(token).arg(request.begin).arg(micros(KEEP_EXPIRED)).answers(*bytes);
            let leased: Leased = self.link.invoke(&call).await?;
            let (more, count) = (leased.more, leased.rows.len());
            *bytes = bytes.saturating_sub(leased.bytes);
            leases.extend(self.readable(queue, leased, token, request).await);
            if !more || count < max {
                return Ok(more);
            }
        }
    }

    /// The leases that can be run, the first with this token; the others are buried where people see them, so that they
    /// cannot block their queue.
    async fn readable(&self, queue: &str, leased: Leased, token: u64, by: &LeaseRequest) -> Vec<Lease> {
        let now = leased.now;
        let mut leases = Vec::with_capacity(leased.rows.len());
        let mut unreadable = Vec::new();
        for (row, token) in leased.rows.into_iter().zip(token..) {
            match row.into_lease(queue, token, now, by.duration) {
                Ok(lease) => leases.push(lease),
                Err(job) => unreadable.push(job),
            }
        }
        // A producer in another language may have forgotten to list the queue. A full Redis refuses this, and still the
        // jobs are leased: then the next lease tries again.
        if !leases.is_empty() && !self.listed().contains(queue) && self.list(queue).await.is_ok() {
            self.listed().insert(queue.to_owned());
        }
        if !unreadable.is_empty() {
            // Where this fails their leases expire, and it is tried again.
            if let Err(error) = self.bury(queue, &unreadable, now, &by.worker).await {
                tracing::error!(queue, "failed to bury jobs that cannot be read: {error}");
            }
        }
        leases
    }

    async fn bury(&self, queue: &str, jobs: &[Unreadable], now: Timestamp, worker: &str) -> Result<(), BrokerError> {
        let mut call = self.call(&scripts::SETTLE, queue);
        // None that has succeeded.
        call.arg(micros(KEEP_CANCELLED)).arg(0);
        for job in jobs {
            let id = String::from_utf8_lossy(&job.id);
            tracing::error!(queue, job = &*id, reason = job.reason, "a job's record cannot be read: it is dead");
            let mut history = History::default();
            history.push(AttemptRecord {
                number: job.starts,
                worker: worker.to_owned(),
                module: None,
                started_at: None,
                finished_at: now,
                outcome: OutcomeKind::Rejected,
                error: Some(ErrorRecord::new("bad_record", format!("its record cannot be read: {}", job.reason))),
                usage: Usage::default(),
            });
            record::add_burial(&mut call, job, &history.into());
        }
        self.link.invoke::<Vec<bool>>(&call).await.map(drop)
    }
}
