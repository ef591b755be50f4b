//! Both directions between our types and what a script is given and answers. Options and history are opaque bytes to
//! the scripts; only this file reads and writes them.

use std::time::Duration;

use afresh_protocol::OutcomeKind;
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value, from_redis_value};

use crate::broker::Settle;
use crate::clock::Timestamp;
use crate::history::History;
use crate::job::{Job, JobId, JobOptions, JobView, NewJob, State};
use crate::lease::Lease;
use crate::policy::{Counters, KEEP_CANCELLED, Settlement};

/// The latest instant Redis can hold exactly in a sorted set (a score is a double): the year 2255.
const LATEST: i64 = (1 << 53) - 1;

/// The longest span that can still be added to now: 142 years.
const LONGEST: i64 = 1 << 52;

/// A span as the microseconds a script is given.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(LONGEST).min(LONGEST)
}

/// Adds the six arguments of a new job.
pub(super) fn add_new_job(call: &mut ScriptInvocation<'_>, job: &NewJob) {
    let run_at = job.run_at.map(|at| at.0.clamp(0, LATEST).to_string()).unwrap_or_default();
    call.arg(job.id.as_str()).arg(&job.task).arg(job.payload.as_slice()).arg(run_at);
    call.arg(job.options.priority).arg(encode_options(&job.options));
}

/// The priority has a field of its own, since scripts order by it; so the common job has no options at all.
fn encode_options(options: &JobOptions) -> Vec<u8> {
    let others = JobOptions { priority: 0, ..options.clone() };
    if others == JobOptions::default() {
        return Vec::new();
    }
    // Numbers only: this always serialises.
    serde_json::to_vec(&others).unwrap_or_default()
}

fn decode_options(bytes: &[u8], priority: i32) -> Result<JobOptions, String> {
    let options = if bytes.is_empty() {
        JobOptions::default()
    } else {
        serde_json::from_slice(bytes).map_err(|e| format!("its options cannot be read: {e}"))?
    };
    Ok(JobOptions { priority, ..options })
}

/// Adds the ten arguments that bury an unreadable job with `history`.
pub(super) fn add_burial(call: &mut ScriptInvocation<'_>, job: &Unreadable, history: &History) {
    call.arg(&job.id).arg(job.token).arg("bury").arg(0).arg("").arg(job.starts).arg(0).arg(0);
    call.arg(OutcomeKind::Rejected.as_str()).arg(history.encode());
}

/// Adds the ten arguments of a settlement.
pub(super) fn add_settlement(call: &mut ScriptInvocation<'_>, settle: &Settle) {
    let (verb, span, reply) = match &settle.settlement {
        Settlement::Complete { reply, keep } => ("complete", *keep, reply.as_slice()),
        Settlement::Retry { delay } => ("retry", *delay, [].as_slice()),
        Settlement::Bury => ("bury", Duration::ZERO, [].as_slice()),
        Settlement::Release => ("release", Duration::ZERO, [].as_slice()),
        Settlement::Cancel => ("cancel", KEEP_CANCELLED, [].as_slice()),
    };
    let Counters { starts, failures, waits } = settle.counters;
    call.arg(settle.lease.id.as_str()).arg(settle.lease.token).arg(verb).arg(micros(span)).arg(reply);
    call.arg(starts).arg(failures).arg(waits).arg(settle.outcome.as_str()).arg(settle.history.encode());
}

/// What `lease` and `reap` answer.
pub(super) struct Leased {
    pub(super) now: Timestamp,
    pub(super) more: bool,
    pub(super) bytes: usize,
    pub(super) rows: Vec<Row>,
}

/// One lease as a script answers it.
pub(super) struct Row {
    id: String,
    token: u64,
    starts: u32,
    job: Result<Job, String>,
    previous_worker: Option<String>,
}

/// A record that holds something no worker can run: only another program's write makes one.
pub(super) struct Unreadable {
    pub(super) id: String,
    pub(super) token: u64,
    pub(super) starts: u32,
    pub(super) reason: String,
}

impl Row {
    /// The lease, of a job that can be run; else what is known of it, and the reason.
    pub(super) fn into_lease(self, queue: &str, since: Timestamp, duration: Duration) -> Result<Lease, Unreadable> {
        match self.job {
            Ok(job) => Ok(Lease {
                job: Job { queue: queue.to_owned(), ..job },
                token: self.token,
                until: Timestamp(since.0 + micros(duration)),
                since,
                previous_worker: self.previous_worker,
            }),
            Err(reason) => Err(Unreadable { id: self.id, token: self.token, starts: self.starts, reason }),
        }
    }
}

impl FromRedisValue for Leased {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut values = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut head = || from_redis_value::<i64>(values.next().unwrap_or(Value::Nil));
        let (now, more, bytes) = (Timestamp(head()?), head()? != 0, usize::try_from(head()?).unwrap_or_default());
        let rows = values.map(from_redis_value).collect::<Result<_, _>>()?;
        Ok(Self { now, more, bytes, rows })
    }
}

impl FromRedisValue for Row {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields = Fields(Vec::<Value>::from_redis_value(value)?.into_iter());
        let (id, token, starts) = (fields.next::<String>()?, fields.next()?, fields.next()?);
        let job = read_job(&id, starts, &mut fields);
        Ok(Self { id, token, starts, job, previous_worker: fields.next()? })
    }
}

/// The fields of a row, in the order of the script's header.
struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    fn next<T: FromRedisValue>(&mut self) -> Result<T, ParsingError> {
        from_redis_value(self.0.next().unwrap_or(Value::Nil))
    }
}

/// The job in a row; nine fields are taken whatever they hold. The queue is filled in with the lease.
fn read_job(id: &str, starts: u32, fields: &mut Fields) -> Result<Job, String> {
    let [task, payload, options, at, run_at, priority, failures, waits, history]: [Result<Vec<u8>, _>; 9] =
        std::array::from_fn(|_| fields.next());
    let number = |name: &str, field: Result<Vec<u8>, ParsingError>| -> Result<i64, String> {
        let text = field.map_err(|e| e.to_string())?;
        let digits = std::str::from_utf8(&text).ok();
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
            format!("its `{name}` is not a whole number: `{}`", String::from_utf8_lossy(&text).escape_debug())
        })
    };
    let small = |name: &str, field| -> Result<u32, String> {
        u32::try_from(number(name, field)?).map_err(|_| format!("its `{name}` is out of range"))
    };
    let bytes = |field: Result<Vec<u8>, ParsingError>| field.map_err(|e| e.to_string());
    let priority = i32::try_from(number("priority", priority)?).map_err(|_| "its `priority` is out of range")?;
    let task = String::from_utf8(bytes(task)?).map_err(|_| "its task's name is not UTF-8")?;
    if task.is_empty() {
        return Err("it names no task".to_owned());
    }
    Ok(Job {
        id: id.parse()?,
        queue: String::new(),
        task,
        payload: bytes(payload)?,
        enqueued_at: Timestamp(number("at", at)?),
        run_at: Timestamp(number("run_at", run_at)?),
        options: decode_options(&bytes(options)?, priority)?,
        counters: Counters { starts, failures: small("failures", failures)?, waits: small("waits", waits)? },
        history: History::decode(&bytes(history)?),
    })
}

/// The fields of a record that a view is made of, in the order of [`ViewRow`].
pub(super) const VIEW_FIELDS: [&str; 9] =
    ["state", "task", "at", "run_at", "finished", "priority", "options", "starts", "history"];

/// Values of [`VIEW_FIELDS`], then the lengths of payload and reply.
pub(super) type ViewRow = (
    (
        Option<String>,
        Option<String>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
        Option<i32>,
        Option<Vec<u8>>,
        Option<u32>,
        Option<Vec<u8>>,
    ),
    u64,
    u64,
);

/// The job as people see it; `None` if there is no such record.
pub(super) fn view(queue: &str, id: JobId, row: ViewRow) -> Option<JobView> {
    let ((state, task, at, run_at, finished, priority, options, starts, history), payload_bytes, reply_bytes) = row;
    let state: State = state?.parse().ok()?;
    let enqueued_at = Timestamp(at.unwrap_or_default());
    let priority = priority.unwrap_or_default();
    // People shall see a job whose options cannot be read, too.
    let options = decode_options(&options.unwrap_or_default(), priority).unwrap_or_default();
    Some(JobView {
        id,
        task: task.unwrap_or_default(),
        queue: queue.to_owned(),
        state,
        priority,
        enqueued_at,
        run_at: run_at.map_or(enqueued_at, Timestamp),
        finished_at: finished.map(Timestamp),
        payload_bytes,
        max_attempts: options.max_attempts,
        attempts_started: starts.unwrap_or_default(),
        attempts: History::decode(&history.unwrap_or_default()).into_attempts(),
        result_bytes: (state == State::Succeeded).then_some(reply_bytes),
    })
}
