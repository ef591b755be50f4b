//! Waiting for a job to end, and seeing meanwhile how far it is and what it logs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::broker::{Broker, BrokerError};
use crate::job::{JobId, JobView};
use crate::log::{JobLog, LoggedLine};

/// How long to wait between two looks at a job: from the first, doubling, to the last.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

/// A job that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The job; its state says how it ended.
    pub job: JobView,
    /// The task's reply, where the job succeeded.
    pub reply: Option<Vec<u8>>,
}

/// What a job that is watched did.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// It is this far, from 0 to 1; a later attempt begins again.
    Progress(f64),
    /// It logged a line.
    Logged(LoggedLine),
}

/// Watches one job until it has ended.
pub struct Watch {
    broker: Arc<dyn Broker>,
    id: JobId,
    progress: Option<f64>,
    log: JobLog,
}

impl Watch {
    /// Watches the job of this id in `broker`.
    pub(crate) fn new(broker: Arc<dyn Broker>, id: JobId) -> Self {
        Self { broker, id, progress: None, log: JobLog::default() }
    }

    /// Waits until the job has ended, well or badly, and shows each moment once; `None` if it has not ended within
    /// `timeout`. What happens between two looks is seen together, and of a log that grows faster than it is read the newest
    /// lines are seen. Waiting again, also after an error, goes on where this stopped.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] if there is no such job (any more); else the broker's own.
    pub async fn wait(
        &mut self,
        timeout: Duration,
        mut show: impl FnMut(Moment),
    ) -> Result<Option<Finished>, BrokerError> {
        let mut looks = Looks::within(timeout);
        loop {
            let job = known(&*self.broker, &self.id).await?;
            // Read after the job: one that has ended logs no more.
            let log = self.broker.log(&self.id).await?;
            if let Some(progress) = job.progress.filter(|_| job.progress != self.progress) {
                show(Moment::Progress(progress));
            }
            // By the whole line, not by its number: an attempt that cost none is run again under the same number.
            let new = log.lines().filter(|line| !self.log.lines().any(|seen| seen == *line));
            new.for_each(|line| show(Moment::Logged(line.clone())));
            (self.progress, self.log) = (job.progress, log);
            if job.state.is_terminal() {
                return finished(&*self.broker, job).await.map(Some);
            }
            if !looks.rest().await {
                return Ok(None);
            }
        }
    }
}

/// As [`Watch::wait`], seeing nothing on the way.
pub(crate) async fn wait(broker: &dyn Broker, id: &JobId, timeout: Duration) -> Result<Option<Finished>, BrokerError> {
    let mut looks = Looks::within(timeout);
    loop {
        let job = known(broker, id).await?;
        if job.state.is_terminal() {
            return finished(broker, job).await.map(Some);
        }
        if !looks.rest().await {
            return Ok(None);
        }
    }
}

async fn known(broker: &dyn Broker, id: &JobId) -> Result<JobView, BrokerError> {
    let gone = || BrokerError::Invalid(format!("there is no job {id}: it was never enqueued, or is no longer kept"));
    broker.job(id).await?.ok_or_else(gone)
}

async fn finished(broker: &dyn Broker, job: JobView) -> Result<Finished, BrokerError> {
    Ok(Finished { reply: broker.result(&job.id).await?, job })
}

/// Looks at a job that grow rarer, up to a deadline.
struct Looks {
    deadline: Instant,
    pause: Duration,
}

impl Looks {
    fn within(timeout: Duration) -> Self {
        let now = Instant::now();
        // For ever is a year here.
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        Self { deadline, pause: LOOK_EVERY.0 }
    }

    /// Rests until the next look; false if the time is over.
    async fn rest(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(LOOK_EVERY.1);
        true
    }
}
