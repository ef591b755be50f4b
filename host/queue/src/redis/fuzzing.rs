//! The reading of answers, for the fuzz targets of this repository. No part of the interface: it may change or go.

use std::time::Duration;

use redis::{FromRedisValue, Value, parse_redis_value};

use super::flows;
use super::leased::Leased;
use super::record::{self, Answer, Promoted, ViewRow};
use crate::clock::Timestamp;
use crate::job::{JobId, JobOptions, JobView, NewJob};
use crate::lease::Lease;

/// What an answer of Redis says, as far as it says anything.
#[derive(Debug, Default)]
pub struct Answered {
    /// Leases of jobs that can be run.
    pub leases: Vec<Lease>,
    /// Why others cannot be run.
    pub reasons: Vec<String>,
    /// A job as people see it.
    pub view: Option<JobView>,
}

/// Reads bytes as an answer of Redis, in every way answers are read here.
pub fn redis_answer(bytes: &[u8]) -> Answered {
    let mut answered = Answered::default();
    let Ok(value) = parse_redis_value(bytes) else { return answered };
    // All the same job: whatever it is, it must be read without harm.
    let _ = read::<Promoted>(&value);
    let _ = read::<Answer>(&value).map(|answer| answer.of(JobId::fresh()));
    let _ = read::<flows::Answer>(&value);
    for row in read::<Leased>(&value).map(|leased| leased.rows).unwrap_or_default() {
        match row.into_lease("default", 1, Timestamp::now(), Duration::from_secs(30)) {
            Ok(lease) => answered.leases.push(lease),
            Err(unreadable) => answered.reasons.push(unreadable.reason),
        }
    }
    answered.view = read::<ViewRow>(&value).and_then(|row| record::view("default", JobId::fresh(), &row));
    answered
}

fn read<T: FromRedisValue>(value: &Value) -> Option<T> {
    T::from_redis_value(value.clone()).ok()
}

/// What a job asks for, written for Redis and read again.
///
/// # Errors
/// When what was written cannot be read.
pub fn redis_options(job: &NewJob) -> Result<JobOptions, String> {
    record::decode_options(&record::encode_options(job), job.options.priority)
}
