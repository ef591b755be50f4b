//! What `lease` and `reap` answer: rows out of records, in which another program may have written anything.

use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use rmp::Marker;

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

/// One lease as a script answers it: a short record, or what other records say.
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
        let (now, more, bytes, packed): (_, i64, i64, Vec<u8>) = from_redis_value(value)?;
        let mut packed = Packed(&packed);
        // No more than there can be, whatever it says.
        let mut rows = Vec::with_capacity(packed.array()?.min(packed.0.len()) / Row::FIELDS);
        while !packed.0.is_empty() {
            rows.push(Row::read(&mut packed)?);
        }
        Ok(Self { now: Timestamp(now), more: more != 0, bytes: usize::try_from(bytes).unwrap_or_default(), rows })
    }
}

impl Row {
    /// The values that a script answers for each.
    const FIELDS: usize = 2;

    /// What a script repeats of a record may be anything: one job that cannot be read is no reason to lose the leases of the
    /// others.
    fn read(fields: &mut Packed<'_>) -> Result<Self, ParsingError> {
        let id = fields.text()?;
        if !fields.is_array() {
            return Ok(Self { id: id.to_vec(), starts: 1, job: read_short(id, fields.text()?), previous_worker: None });
        }
        let values = fields.texts()?;
        let [starts, task, payload, at, rest @ ..] = values.as_slice() else {
            return Err(ParsingError::from("a lease is cut off"));
        };
        let starts = small("starts", starts);
        let job = read_job(id, task, payload, at).and_then(|job| with_rest(job, starts.clone()?, rest));
        let previous_worker = rest.get(7).map(|worker| Vanished {
            worker: String::from_utf8_lossy(worker).into_owned(),
            begun: Begun::of_number(rest.get(8).map_or(0, |begun| begun_of(begun))),
        });
        Ok(Self { id: id.to_vec(), starts: starts.unwrap_or_default(), job, previous_worker })
    }
}

/// What nobody has written down is that nothing is known.
fn begun_of(text: &[u8]) -> u8 {
    number("begun", text).ok().and_then(|number| number.try_into().ok()).unwrap_or_default()
}

/// Texts and arrays of them, packed as MessagePack: one value of Redis's for all rows, because to read one of its own takes
/// longer than all else that is done with it.
struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    /// An array begins here, of so many.
    fn array(&mut self) -> Result<usize, ParsingError> {
        let length = rmp::decode::read_array_len(&mut self.0).map_err(|e| ParsingError::from(e.to_string()))?;
        Ok(length as usize)
    }

    /// Whether an array comes next.
    fn is_array(&self) -> bool {
        let mut ahead = self.0;
        matches!(rmp::decode::read_marker(&mut ahead), Ok(Marker::FixArray(_) | Marker::Array16 | Marker::Array32))
    }

    fn text(&mut self) -> Result<&'a [u8], ParsingError> {
        let length = rmp::decode::read_str_len(&mut self.0).map_err(|e| ParsingError::from(e.to_string()))?;
        let (text, rest) =
            self.0.split_at_checked(length as usize).ok_or_else(|| ParsingError::from("it is cut off"))?;
        self.0 = rest;
        Ok(text)
    }

    /// An array of texts.
    fn texts(&mut self) -> Result<Vec<&'a [u8]>, ParsingError> {
        (0..self.array()?).map(|_| self.text()).collect()
    }
}

fn number(name: &str, text: &[u8]) -> Result<i64, String> {
    let digits = std::str::from_utf8(text).ok();
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        format!("its `{name}` is not a whole number: `{}`", String::from_utf8_lossy(text).escape_debug())
    })
}

fn small(name: &str, text: &[u8]) -> Result<u32, String> {
    u32::try_from(number(name, text)?).map_err(|_| format!("its `{name}` is out of range"))
}

/// The job of a short record: its version, when it was accepted, its task and its payload, with a space between them.
fn read_short(id: &[u8], record: &[u8]) -> Result<Job, String> {
    let mut parts = record.splitn(4, |byte| *byte == b' ').skip(1);
    let [Some(at), Some(task), Some(payload)] = [(); 3].map(|()| parts.next()) else {
        return Err("its short record is cut off".to_owned());
    };
    read_job(id, task, payload, at)
}

/// A job of which nothing else is known, at its first start. The queue is filled in with the lease.
fn read_job(id: &[u8], task: &[u8], payload: &[u8], at: &[u8]) -> Result<Job, String> {
    let id = std::str::from_utf8(id).map_err(|_| "its id is not UTF-8")?.parse()?;
    let task = std::str::from_utf8(task).map_err(|_| "its task's name is not UTF-8")?;
    if task.is_empty() {
        return Err("it names no task".to_owned());
    }
    let enqueued_at = Timestamp(number("at", at)?);
    Ok(Job {
        id,
        queue: String::new(),
        task: task.to_owned(),
        payload: payload.to_vec(),
        enqueued_at,
        run_at: enqueued_at,
        options: JobOptions::default(),
        counters: Counters { starts: 1, ..Counters::default() },
        history: History::default(),
    })
}

/// The same with what a hash says of it besides.
fn with_rest(job: Job, starts: u32, rest: &[&[u8]]) -> Result<Job, String> {
    let &[options, run_at, priority, failures, waits, lost, history, ..] = rest else {
        return Err("its record is cut off".to_owned());
    };
    let priority = i32::try_from(number("priority", priority)?).map_err(|_| "its `priority` is out of range")?;
    Ok(Job {
        run_at: Timestamp(number("run_at", run_at)?),
        options: decode_options(options, priority)?,
        counters: Counters {
            starts,
            failures: small("failures", failures)?,
            waits: small("waits", waits)?,
            lost: small("lost", lost)?,
        },
        history: History::decode(history),
        ..job
    })
}
