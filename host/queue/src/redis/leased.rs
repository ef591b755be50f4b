//! What `lease` and `reap` answer: rows out of records, in which another program may have written anything.

use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use super::record::{decode_options, micros};
use crate::clock::Timestamp;
use crate::history::History;
use crate::job::{Job, JobOptions};
use crate::lease::{Begun, Lease, Vanished};
use crate::policy::Counters;

/// What `lease` and `reap` answer.
pub(super) struct Leased {
    pub(super) now: Timestamp,
    pub(super) more: bool,
    pub(super) bytes: usize,
    pub(super) rows: Vec<Row>,
}

/// One lease as a script answers it.
pub(super) struct Row {
    id: Vec<u8>,
    starts: u32,
    job: Result<Job, String>,
    previous_worker: Option<Vanished>,
}

/// A record that holds something no worker can run: only another program's write makes one.
pub(super) struct Unreadable {
    pub(super) id: Vec<u8>,
    pub(super) token: u64,
    pub(super) starts: u32,
    pub(super) reason: String,
}

impl Row {
    /// The lease, of a job that can be run; else what is known of it, and the reason.
    pub(super) fn into_lease(
        self,
        queue: &str,
        token: u64,
        since: Timestamp,
        duration: Duration,
    ) -> Result<Lease, Unreadable> {
        match self.job {
            Ok(job) => Ok(Lease {
                job: Job { queue: queue.to_owned(), ..job },
                token,
                until: Timestamp(since.0 + micros(duration)),
                since,
                previous_worker: self.previous_worker,
            }),
            Err(reason) => Err(Unreadable { id: self.id, token, starts: self.starts, reason }),
        }
    }
}

impl FromRedisValue for Leased {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut values = Fields(Vec::<Value>::from_redis_value(value)?.into_iter());
        let mut head = || values.next::<i64>();
        let (now, more, bytes) = (Timestamp(head()?), head()? != 0, usize::try_from(head()?).unwrap_or_default());
        let mut rows = Vec::with_capacity(values.0.len() / Row::FIELDS);
        while values.0.len() > 0 {
            rows.push(Row::read(&mut values)?);
        }
        Ok(Self { now, more, bytes, rows })
    }
}

impl Row {
    /// The values that a script answers for each.
    const FIELDS: usize = 6;

    /// Only what the script itself puts into a row must be there. What it repeats of a record may be anything: one job
    /// that cannot be read is no reason to lose the leases of the others.
    fn read(fields: &mut Fields) -> Result<Self, ParsingError> {
        let id = fields.next::<Vec<u8>>()?;
        let starts = small("starts", fields.next());
        let [task, payload, at] = std::array::from_fn(|_| fields.next());
        let mut rest = match fields.0.next() {
            Some(Value::Array(rest)) => Some(Fields(rest.into_iter())),
            _ => None,
        };
        let job = read_job(&id, &starts, [task, payload, at], rest.as_mut());
        let mut end = rest.unwrap_or(Fields(Vec::new().into_iter()));
        let worker = end.next::<Option<Vec<u8>>>()?.map(|name| String::from_utf8_lossy(&name).into_owned());
        let begun = end.next::<Option<u8>>().ok().flatten().unwrap_or_default();
        let previous_worker = worker.map(|worker| Vanished { worker, begun: Begun::of_number(begun) });
        Ok(Self { id, starts: starts.unwrap_or_default(), job, previous_worker })
    }
}

/// Values in the order of a script's header.
struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    fn next<T: FromRedisValue>(&mut self) -> Result<T, ParsingError> {
        from_redis_value(self.0.next().unwrap_or(Value::Nil))
    }
}

/// A field's bytes.
type Field = Result<Vec<u8>, ParsingError>;

fn bytes(field: Field) -> Result<Vec<u8>, String> {
    field.map_err(|e| e.to_string())
}

fn number(name: &str, field: Field) -> Result<i64, String> {
    let text = bytes(field)?;
    let digits = std::str::from_utf8(&text).ok();
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        format!("its `{name}` is not a whole number: `{}`", String::from_utf8_lossy(&text).escape_debug())
    })
}

fn small(name: &str, field: Field) -> Result<u32, String> {
    u32::try_from(number(name, field)?).map_err(|_| format!("its `{name}` is out of range"))
}

/// The job in a row, with seven fields of the rest, where there is one. The queue is filled in with the lease.
fn read_job(
    id: &[u8],
    starts: &Result<u32, String>,
    [task, payload, at]: [Field; 3],
    rest: Option<&mut Fields>,
) -> Result<Job, String> {
    // All are taken, whatever they hold: more comes behind them.
    let rest: Option<[Field; 7]> = rest.map(|rest| std::array::from_fn(|_| rest.next()));
    let id = std::str::from_utf8(id).map_err(|_| "its id is not UTF-8")?.parse()?;
    let task = String::from_utf8(bytes(task)?).map_err(|_| "its task's name is not UTF-8")?;
    if task.is_empty() {
        return Err("it names no task".to_owned());
    }
    let (payload, enqueued_at) = (bytes(payload)?, Timestamp(number("at", at)?));
    let job = Job {
        id,
        queue: String::new(),
        task,
        payload,
        enqueued_at,
        run_at: enqueued_at,
        options: JobOptions::default(),
        counters: Counters { starts: starts.clone()?, ..Counters::default() },
        history: History::default(),
    };
    let Some([options, run_at, priority, failures, waits, lost, history]) = rest else { return Ok(job) };
    let priority = i32::try_from(number("priority", priority)?).map_err(|_| "its `priority` is out of range")?;
    Ok(Job {
        run_at: Timestamp(number("run_at", run_at)?),
        options: decode_options(&bytes(options)?, priority)?,
        counters: Counters {
            failures: small("failures", failures)?,
            waits: small("waits", waits)?,
            lost: small("lost", lost)?,
            ..job.counters
        },
        history: History::decode(&bytes(history)?),
        ..job
    })
}
