//! Periodic jobs: each is kept in its job's queue, as one text, beside the time it is due next.

use async_trait::async_trait;

use super::keys::Keys;
use super::record::DueCron;
use super::{RedisBroker, record, scripts};
use crate::broker::BrokerError;
use crate::clock::Timestamp;
use crate::cron::{Cron, CronView, Crons, Kept};
use crate::job::NewJob;
use crate::steps;

#[async_trait]
impl Crons for RedisBroker {
    async fn add_cron(&self, cron: &Cron) -> Result<bool, BrokerError> {
        cron.check().map_err(BrokerError::Invalid)?;
        loop {
            let found = self.find_cron(&cron.name).await?;
            if let Some((queue, ..)) = found.as_ref().filter(|(queue, ..)| *queue != cron.queue) {
                return Err(BrokerError::Invalid(format!(
                    "there is a periodic job {} in the queue {queue}: remove it first, or take another name",
                    cron.name
                )));
            }
            let kept = match &found {
                Some((_, _, kept)) => Kept { cron: cron.clone(), ..kept.clone() },
                None => Kept::new(cron.clone()),
            };
            let before = found.as_ref().map(|(_, bytes, _)| bytes.as_slice());
            let same_times = found.as_ref().is_some_and(|(.., before)| before.is_due_as(&kept));
            if self.keep_cron(&cron.queue, &kept, before, same_times).await? {
                self.list(&cron.queue).await?;
                return Ok(found.is_none());
            }
        }
    }

    async fn crons(&self) -> Result<Vec<CronView>, BrokerError> {
        let mut all = Vec::new();
        for queue in self.queue_names().await? {
            let keys = Keys::of(&queue);
            let mut pipeline = redis::pipe();
            pipeline.hgetall(keys.cron()).zrange_withscores(keys.cron_due(), 0, -1);
            let (kept, due): (Vec<(String, Vec<u8>)>, Vec<(String, f64)>) = self.link.pipeline(&pipeline).await?;
            let next = |name: &str| due.iter().find(|(due, _)| due == name).map(|(_, at)| Timestamp(*at as i64));
            let mut views: Vec<_> =
                kept.into_iter().filter_map(|(name, bytes)| Some(Kept::decode(&bytes)?.view(next(&name)))).collect();
            views.sort_by(|a, b| a.cron.name.cmp(&b.cron.name));
            all.extend(views);
        }
        Ok(all)
    }

    async fn remove_cron(&self, name: &str) -> Result<bool, BrokerError> {
        while let Some((queue, before, _)) = self.find_cron(name).await? {
            let mut call = self.call(&scripts::CRON, &queue);
            call.arg(name).arg("").arg("").arg(before);
            if self.link.invoke(&call).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn pause_cron(&self, name: &str, paused: bool) -> Result<bool, BrokerError> {
        while let Some((queue, before, kept)) = self.find_cron(name).await? {
            if kept.paused == paused || self.keep_cron(&queue, &Kept { paused, ..kept }, Some(&before), false).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl RedisBroker {
    /// Where a periodic job is, and what is kept of it.
    async fn find_cron(&self, name: &str) -> Result<Option<(String, Vec<u8>, Kept)>, BrokerError> {
        for queue in self.queue_names().await? {
            let mut command = redis::cmd("HGET");
            command.arg(Keys::of(&queue).cron()).arg(name);
            if let Some(bytes) = self.link.query::<Option<Vec<u8>>>(&command).await?
                && let Some(kept) = Kept::decode(&bytes)
            {
                return Ok(Some((queue, bytes, kept)));
            }
        }
        Ok(None)
    }

    /// Keeps a periodic job, due from now on, or when it was; false if it is no longer as it was.
    async fn keep_cron(
        &self,
        queue: &str,
        kept: &Kept,
        before: Option<&[u8]>,
        same_times: bool,
    ) -> Result<bool, BrokerError> {
        let next = kept.next_after(self.time(queue).await?).map(|at| at.0.to_string()).unwrap_or_default();
        let mut call = self.call(&scripts::CRON, queue);
        call.arg(&kept.cron.name).arg(if same_times { "=".to_owned() } else { next });
        call.arg(kept.encode()).arg(before.unwrap_or_default());
        self.link.invoke(&call).await
    }

    /// Makes the jobs of periodic ones whose time has come; true if there were any, so that somebody has to look again.
    pub(super) async fn fire(&self, queue: &str, due: Vec<DueCron>, now: Timestamp) -> Result<bool, BrokerError> {
        let any = !due.is_empty();
        for cron in due {
            steps::reached("cron-due");
            match Kept::decode(&cron.kept) {
                Some(kept) => {
                    let firing = kept.fire(cron.due, now);
                    let kept = firing.kept.encode();
                    match self.fire_one(queue, &cron, firing.next, kept.clone(), firing.job.as_ref()).await {
                        // Nobody can make this job, ever: its periodic one must not stand in the others' way.
                        Err(BrokerError::Invalid(reason)) => {
                            tracing::error!(queue, cron = cron.name, "a periodic job makes no job: {reason}");
                            self.fire_one(queue, &cron, firing.next, kept, None).await?;
                        }
                        fired => fired?,
                    }
                }
                None => {
                    tracing::error!(queue, cron = cron.name, "a periodic job cannot be read: it is never due again");
                    self.fire_one(queue, &cron, None, cron.kept.clone(), None).await?;
                }
            }
        }
        Ok(any)
    }

    async fn fire_one(
        &self,
        queue: &str,
        cron: &DueCron,
        next: Option<Timestamp>,
        kept: Vec<u8>,
        job: Option<&NewJob>,
    ) -> Result<(), BrokerError> {
        let mut call = self.call(&scripts::FIRE, queue);
        call.arg(&cron.name).arg(cron.due.0).arg(next.map(|at| at.0.to_string()).unwrap_or_default()).arg(kept);
        if let Some(job) = job {
            record::add_new_job(&mut call, job);
        }
        // True for the one worker that did it.
        self.link.invoke::<bool>(&call).await.map(drop)
    }

    /// The time of the server that has the queue.
    async fn time(&self, queue: &str) -> Result<Timestamp, BrokerError> {
        if let Some(fixed) = self.clock.fixed() {
            return Ok(fixed);
        }
        // The key says which server of a cluster that is.
        let mut both = redis::pipe();
        both.cmd("TIME").exists(Keys::of(queue).cron()).ignore();
        let ((seconds, micros),): ((i64, i64),) = self.link.pipeline(&both).await?;
        Ok(Timestamp(seconds * 1_000_000 + micros))
    }
}
