//! Periodic jobs: a name, a cron line, and the job it makes at each time it is due. They are kept in the broker, each in
//! its job's queue; whichever worker serves that queue makes the job, and exactly one does for each time.

use std::time::Duration;

use afresh_protocol::policy::check_name;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::broker::BrokerError;
use crate::clock::Timestamp;
use crate::job::{JobId, JobOptions, NewJob, PAYLOAD_CEILING};
use crate::schedule::Schedule;

/// The most bytes a periodic job's name may have: its jobs' ids carry it.
pub const MAX_CRON_NAME: usize = 64;

/// A firing that comes later than this was missed: nobody served the queue when it was due.
pub const GRACE: Duration = Duration::from_secs(60);

/// A periodic job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cron {
    /// Its name, one in the broker.
    pub name: String,
    /// When it is due: a cron line.
    pub schedule: String,
    /// In which time zone.
    pub timezone: String,
    /// What becomes of times that were missed.
    #[serde(default)]
    pub missed: Missed,
    /// The queue its jobs go to.
    pub queue: String,
    /// The task they run.
    pub task: String,
    /// Their payload.
    #[serde(with = "as_base64")]
    pub payload: Vec<u8>,
    /// What they ask for.
    #[serde(default)]
    pub options: JobOptions,
    /// Whom they are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What becomes of times that were missed because nobody served the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing: the next time is the next time.
    #[default]
    Skip,
    /// One job for all of them, as soon as somebody serves the queue again.
    RunOnce,
}

/// A periodic job as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CronView {
    /// The job itself.
    #[serde(flatten)]
    pub cron: Cron,
    /// Whether it is paused.
    pub paused: bool,
    /// When it is due next; absent where it is paused, or never is again.
    pub next_at: Option<Timestamp>,
    /// The job it made last.
    pub last_job: Option<JobId>,
    /// When it was due for that.
    pub last_at: Option<Timestamp>,
}

/// What is kept of a periodic job, as brokers store it. A number `due` is microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) cron: Cron,
    pub(crate) paused: bool,
    pub(crate) last_job: Option<JobId>,
    pub(crate) last_at: Option<Timestamp>,
}

/// What is to be done about a time that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Firing {
    /// The job to make; `None` for a time that is skipped.
    pub(crate) job: Option<NewJob>,
    /// When it is due next.
    pub(crate) next: Option<Timestamp>,
    /// What is kept from now on.
    pub(crate) kept: Kept,
}

/// Adds, shows and removes periodic jobs.
#[async_trait]
pub trait Crons {
    /// Adds a periodic job, or changes the one of this name; a paused one stays paused. True if it is new.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] if it cannot be, or one of this name is in another queue; else the broker's own, here and
    /// below.
    async fn add_cron(&self, cron: &Cron) -> Result<bool, BrokerError>;

    /// All periodic jobs, by queue and name.
    async fn crons(&self) -> Result<Vec<CronView>, BrokerError>;

    /// Removes one; the jobs it made stay. False if there is none of this name.
    async fn remove_cron(&self, name: &str) -> Result<bool, BrokerError>;

    /// Pauses one, or lets it go on: then from its next time after now. False if there is none of this name.
    async fn pause_cron(&self, name: &str, paused: bool) -> Result<bool, BrokerError>;
}

impl Cron {
    /// Checks that it can be; answers when it is due.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<Schedule, String> {
        check_name(&self.name).map_err(|reason| format!("the periodic job's name: {reason}"))?;
        if self.name.len() > MAX_CRON_NAME {
            return Err(format!("the periodic job's name has more than {MAX_CRON_NAME} bytes"));
        }
        // No job of it has an id yet that a person could know.
        let job = self.job(Timestamp(0)).check(PAYLOAD_CEILING);
        job.map_err(|reason| format!("the periodic job {}: {reason}", self.name))?;
        Schedule::new(&self.schedule, &self.timezone)
    }

    /// A job of it that runs now, besides the schedule.
    pub fn job_now(&self) -> NewJob {
        NewJob { id: JobId::fresh(), ..self.job(Timestamp(0)) }
    }

    /// The job for a time. Its id is made of name and time, so that there is one for each.
    fn job(&self, due: Timestamp) -> NewJob {
        let time: String = due.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        // A name that is none is refused before any job is made of it.
        let id = format!("cron:{}:{time}", self.name).parse().unwrap_or_else(|_| JobId::fresh());
        let job = NewJob::new(&self.task, self.payload.clone()).id(id).queue(&self.queue);
        NewJob { options: self.options.clone(), key: self.key.clone(), ..job }
    }
}

impl Kept {
    /// What is kept of a new one.
    pub(crate) fn new(cron: Cron) -> Self {
        Self { cron, paused: false, last_job: None, last_at: None }
    }

    /// What is to be done about the time `due`, which has come: `now` is not before it. Of many times that have come, one
    /// is made or none.
    pub(crate) fn fire(self, due: Timestamp, now: Timestamp) -> Firing {
        // It was checked when it was added; a zone may have gone since.
        let next = Schedule::new(&self.cron.schedule, &self.cron.timezone).ok().and_then(|s| s.next_after(now));
        let missed = due.until_from(now).is_zero() && now.0.saturating_sub(due.0) > GRACE.as_micros() as i64;
        if self.paused || missed && self.cron.missed == Missed::Skip {
            return Firing { job: None, next, kept: self };
        }
        let job = self.cron.job(due);
        let kept = Self { last_job: Some(job.id.clone()), last_at: Some(due), ..self };
        Firing { job: Some(job), next, kept }
    }

    /// Whether it is due at the same times, so that one that has come already must not be dropped.
    pub(crate) fn is_due_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.cron, &other.cron);
        (&ours.schedule, &ours.timezone, self.paused) == (&theirs.schedule, &theirs.timezone, other.paused)
    }

    /// When it is due next, from now on.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let schedule = Schedule::new(&self.cron.schedule, &self.cron.timezone).ok();
        schedule.filter(|_| !self.paused).and_then(|schedule| schedule.next_after(now))
    }

    /// As people see it.
    pub(crate) fn view(self, next_at: Option<Timestamp>) -> CronView {
        CronView { cron: self.cron, paused: self.paused, next_at, last_job: self.last_job, last_at: self.last_at }
    }

    /// The bytes a broker stores.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Strings and integers only: this always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Kept::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// A payload may be any bytes, and JSON holds text.
mod as_base64 {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn every_minute(missed: Missed) -> Kept {
        Kept::new(Cron {
            name: "tick".into(),
            schedule: "* * * * *".into(),
            timezone: "UTC".into(),
            missed,
            queue: "default".into(),
            task: "t".into(),
            payload: b"\x00\xff".to_vec(),
            options: JobOptions::default(),
            key: None,
        })
    }

    #[test]
    fn a_time_that_has_come_makes_one_job_and_the_next_time_is_after_now() {
        let firing = every_minute(Missed::Skip).fire(Timestamp(MINUTE), Timestamp(MINUTE * 2));
        let job = firing.job.unwrap();
        assert_eq!((job.id.as_str(), job.payload.as_slice()), ("cron:tick:19700101T000100000000Z", &b"\x00\xff"[..]));
        assert_eq!(firing.next, Some(Timestamp(MINUTE * 3)), "what is late by less than the grace is not missed");
        assert_eq!((firing.kept.last_at, firing.kept.last_job), (Some(Timestamp(MINUTE)), Some(job.id)));
    }

    #[test]
    fn times_that_were_missed_are_skipped_or_run_once() {
        let now = Timestamp(MINUTE * 100);
        let skipped = every_minute(Missed::Skip).fire(Timestamp(MINUTE), now);
        assert_eq!((skipped.job, skipped.next), (None, Some(Timestamp(MINUTE * 101))));
        assert_eq!(skipped.kept, every_minute(Missed::Skip));
        let once = every_minute(Missed::RunOnce).fire(Timestamp(MINUTE), now);
        assert!(once.job.is_some());
        assert_eq!(once.next, Some(Timestamp(MINUTE * 101)));
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let kept = every_minute(Missed::RunOnce);
        assert_eq!(Kept::decode(&kept.encode()), Some(kept));
        assert_eq!(Kept::decode(b"{}"), None);
    }

    #[test]
    fn a_periodic_job_that_cannot_be_is_refused_with_a_sentence() {
        let cron = every_minute(Missed::Skip).cron;
        assert!(cron.check().is_ok());
        for (wrong, reason) in [
            (Cron { name: "a b".into(), ..cron.clone() }, "name: `a b` is not a name"),
            (Cron { name: "x".repeat(65), ..cron.clone() }, "more than 64 bytes"),
            (Cron { task: "../t".into(), ..cron.clone() }, "the periodic job tick: its task: `../t` is not a name"),
            (Cron { schedule: "soon".into(), ..cron.clone() }, "is not a cron line"),
            (Cron { timezone: "CEST".into(), ..cron.clone() }, "is not a time zone"),
            (Cron { key: Some(String::new()), ..cron }, "is not a key"),
        ] {
            assert!(wrong.check().unwrap_err().contains(reason), "{wrong:?}");
        }
    }
}
