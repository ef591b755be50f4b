//! Both directions between our types and what a script is given and answers, but for leases (`leased`). Options and history
//! are opaque bytes to the scripts.

use std::time::Duration;

use afresh_protocol::OutcomeKind;
use redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use serde::Serialize;

use super::leased::Unreadable;
use super::scripts::Call;
use crate::batch::Batch;
use crate::broker::{Cancelled, Enqueued, Note, Settle};
use crate::chain::{self, Link};
use crate::clock::Timestamp;
use crate::history::{History, Written};
use crate::job::{JobId, JobOptions, JobView, NewJob, millis};
use crate::lease::Extended;
use crate::policy::{Counters, KEEP_CANCELLED, Settlement};
use crate::state::State;
use crate::unique::UniqueScope;

/// The latest instant Redis can hold exactly in a sorted set (a score is a double): the year 2255.
const LATEST: i64 = (1 << 53) - 1;

/// The longest span that can still be added to now: 142 years.
const LONGEST: i64 = 1 << 52;

/// A span as the microseconds a script is given.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(LONGEST).min(LONGEST)
}

/// Adds the six arguments of a new job.
pub(super) fn add_new_job(call: &mut Call, job: &NewJob) {
    let run_at = job.run_at.map(|at| at.0.clamp(0, LATEST).to_string()).unwrap_or_default();
    call.arg(job.id.as_str()).arg(&job.task).arg(job.payload.as_slice()).arg(run_at);
    call.arg(job.options.priority).arg(encode_options(job));
}

/// What `enqueue` is told besides, as JSON; nothing for the common job, which asks for nothing. The priority has an
/// argument of its own.
#[derive(Serialize)]
struct Asked<'a> {
    #[serde(flatten)]
    options: JobOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_for_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "<[Link]>::is_empty")]
    then: &'a [Link],
}

pub(super) fn encode_options(job: &NewJob) -> Vec<u8> {
    let options = JobOptions { priority: 0, ..job.options.clone() };
    let plain = job.key.is_none() && job.unique.is_none() && job.expires_at.is_none() && job.then.is_empty();
    if plain && options == JobOptions::default() {
        return Vec::new();
    }
    let scope = job.unique.as_ref().map(|unique| unique.scope);
    let asked = Asked {
        options,
        key: job.key.as_deref(),
        unique_key: job.unique.as_ref().map(|unique| unique.key.as_str()),
        unique: match scope {
            Some(UniqueScope::Queued) => Some("queued"),
            Some(UniqueScope::Unfinished) => Some("unfinished"),
            Some(UniqueScope::For(_)) | None => None,
        },
        unique_for_ms: match scope {
            Some(UniqueScope::For(span)) => Some(millis(span)),
            _ => None,
        },
        expires_at: job.expires_at.map(|at| at.0.clamp(0, LATEST)),
        then: &job.then,
    };
    // Numbers and strings only: this always serialises.
    serde_json::to_vec(&asked).unwrap_or_default()
}

/// What `enqueue` answers for one job.
pub(super) enum Answer {
    Created,
    /// A job with its id was there.
    SameId,
    /// That job has its unique key.
    Holder(String),
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Ok(match value {
            Value::Int(1) => Self::Created,
            Value::Int(_) => Self::SameId,
            other => Self::Holder(from_redis_value(other)?),
        })
    }
}

impl Answer {
    /// The answer for a job of this id.
    pub(super) fn of(self, id: JobId) -> Enqueued {
        match self {
            Self::Created => Enqueued { id, created: true },
            Self::SameId => Enqueued { id, created: false },
            // One that is no id was not put there by us: then at least it says that nothing was created.
            Self::Holder(holder) => Enqueued { id: holder.parse().unwrap_or(id), created: false },
        }
    }
}

pub(super) fn decode_options(bytes: &[u8], priority: i32) -> Result<JobOptions, String> {
    let options = if bytes.is_empty() {
        JobOptions::default()
    } else {
        serde_json::from_slice(bytes).map_err(|e| format!("its options cannot be read: {e}"))?
    };
    Ok(JobOptions { priority, ..options })
}

/// Adds the five arguments that bury an unreadable job with `history`.
pub(super) fn add_burial(call: &mut Call, job: &Unreadable, history: &Written) {
    let (rejected, starts, print) = (OutcomeKind::Rejected.as_str(), job.starts, &history.fingerprint);
    let what = format!("bury 0 {rejected} {starts} 0 0 0 0 {print}");
    call.arg(&job.id).arg(job.token).arg(what).arg("").arg(history.bytes.as_slice());
}

/// Adds settlements: first those of jobs that have just succeeded, of which there is the least to say, since every argument
/// costs the server; then the others. Answers in which order they are.
pub(super) fn add_settlements(call: &mut Call, settles: &[&Settle]) -> Vec<usize> {
    let ends: Vec<_> = settles.iter().map(|settle| just_succeeded(settle)).collect();
    let (brief, others): (Vec<_>, Vec<_>) = (0..settles.len()).partition(|&place| ends[place].is_some());
    call.arg(brief.len());
    for (settle, end) in settles.iter().zip(ends).filter_map(|(settle, end)| Some((settle, end?))) {
        call.arg(settle.lease.id.as_str()).arg(settle.lease.token).arg(end);
    }
    others.iter().for_each(|&place| add_settlement(call, settles[place]));
    [brief, others].concat()
}

/// What a job that has succeeded at its first start leaves, where there is nothing to say besides: for how long it is kept,
/// its history and its reply.
fn just_succeeded(settle: &Settle) -> Option<Vec<u8>> {
    let Counters { starts, failures, waits, lost } = settle.counters;
    let at_once = (starts, failures, waits, lost) == (1, 0, 0, 0) && settle.jobs.is_empty();
    match &settle.settlement {
        Settlement::Complete { reply, keep } if at_once && settle.outcome == OutcomeKind::Succeeded => {
            let history = settle.history.bytes.as_slice();
            let numbers = format!("{} {} ", micros(*keep), history.len());
            Some([numbers.as_bytes(), history, reply].concat())
        }
        _ => None,
    }
}

/// Adds the five arguments of a settlement, then those of the jobs that come with it.
fn add_settlement(call: &mut Call, settle: &Settle) {
    call.arg(settle.lease.id.as_str()).arg(settle.lease.token);
    match &settle.settlement {
        Settlement::Complete { reply, keep } => call.arg(words("complete", *keep, settle)).arg(reply.as_slice()),
        Settlement::Retry { delay } => call.arg(words("retry", *delay, settle)).arg(""),
        Settlement::Bury => call.arg(words("bury", Duration::ZERO, settle)).arg(""),
        Settlement::Release => call.arg(words("release", Duration::ZERO, settle)).arg(""),
        Settlement::Cancel => call.arg(words("cancel", KEEP_CANCELLED, settle)).arg(""),
    };
    call.arg(settle.history.bytes.as_slice());
    for job in &settle.jobs {
        call.arg(if job.queue == settle.lease.queue { "" } else { &job.queue });
        add_new_job(call, job);
    }
}

fn words(verb: &str, span: Duration, settle: &Settle) -> String {
    let Counters { starts, failures, waits, lost } = settle.counters;
    let print = if settle.settlement == Settlement::Bury { &settle.history.fingerprint } else { "" };
    let (span, outcome, jobs) = (micros(span), settle.outcome.as_str(), settle.jobs.len());
    format!("{verb} {span} {outcome} {starts} {failures} {waits} {lost} {jobs} {print}")
}

/// Adds the arguments of a batch, after now.
pub(super) fn add_batch(call: &mut Call, batch: &Batch) {
    let (tree, to_come) = (batch.tree(), batch.ids_to_come());
    call.arg(tree.len()).arg(to_come.len());
    for (batch, parent) in tree {
        let nested: Vec<_> = batch.nested().map(|nested| nested.id.as_str()).collect();
        call.arg(batch.id.as_str()).arg(parent.map_or("", |parent| parent.id.as_str())).arg(batch.jobs.len());
        call.arg(nested.join("\n")).arg(batch.callback()).arg(batch.callback_tail());
    }
    for id in to_come {
        call.arg(id.as_str());
    }
    for (batch, job) in batch.members() {
        call.arg(batch.id.as_str());
        add_new_job(call, job);
    }
}

/// Adds the four arguments of a note.
pub(super) fn add_note(call: &mut Call, note: &Note) {
    let progress = note.progress.map(|fraction| fraction.to_string()).unwrap_or_default();
    call.arg(note.lease.id.as_str()).arg(note.lease.token).arg(progress).arg(note.log.encode());
}

/// What `extend` answers for one lease.
pub(super) fn extended(answer: i64) -> Extended {
    match answer {
        1 => Extended::Held,
        2 => Extended::Cancelling,
        _ => Extended::Lost,
    }
}

/// What `cancel` answers for one job; `None` if it is not in that queue.
pub(super) fn cancelled(answer: i64) -> Option<Cancelled> {
    match answer {
        1 => Some(Cancelled::Done),
        2 => Some(Cancelled::Asked),
        0 => Some(Cancelled::Refused),
        _ => None,
    }
}

/// What `promote` answers.
pub(super) struct Promoted {
    pub(super) moved: usize,
    pub(super) more: bool,
    pub(super) next: Option<Duration>,
    pub(super) now: Timestamp,
    pub(super) crons: Vec<DueCron>,
    pub(super) letters: Vec<Letter>,
}

/// A job for another queue, which a settlement left in the queue's outbox.
pub(super) struct Letter {
    pub(super) name: String,
    pub(super) queue: String,
    /// The six texts of the job.
    pub(super) job: Vec<Vec<u8>>,
}

/// A periodic job whose time has come.
pub(super) struct DueCron {
    pub(super) name: String,
    pub(super) due: Timestamp,
    pub(super) kept: Vec<u8>,
}

impl FromRedisValue for Promoted {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        type Answer = (usize, bool, i64, i64, Vec<(String, i64, Vec<u8>)>, Vec<(String, String, Vec<Vec<u8>>)>);
        let (moved, more, next, now, crons, letters): Answer = from_redis_value(value)?;
        let crons = crons.into_iter().map(|(name, due, kept)| DueCron { name, due: Timestamp(due), kept });
        let next = u64::try_from(next).ok().map(Duration::from_micros);
        let letters = letters.into_iter().map(|(name, queue, job)| Letter { name, queue, job });
        Ok(Self { moved, more, next, now: Timestamp(now), crons: crons.collect(), letters: letters.collect() })
    }
}

/// What a view is made of, as the script `see` is asked for it.
pub(super) const VIEW_FIELDS: [&str; 18] = [
    "state", "task", "at", "run_at", "finished", "priority", "options", "starts", "history", "key", "unique",
    "start_by", "held", "cancel", "progress", "flow", "#payload", "#reply",
];

/// Values of [`VIEW_FIELDS`].
pub(super) type ViewRow = Vec<Option<Vec<u8>>>;

/// The job as people see it; `None` if there is no such record.
pub(super) fn view(queue: &str, id: JobId, fields: &ViewRow) -> Option<JobView> {
    let field = |name: &str| {
        let place = VIEW_FIELDS.iter().position(|field| *field == name)?;
        fields.get(place)?.as_deref()
    };
    let text = |name: &str| field(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    // People shall see a job whose numbers or options cannot be read, too.
    let number = |name: &str| text(name).and_then(|digits| digits.parse::<i64>().ok());
    let bytes = |name: &str| number(name).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
    let state: State = text("state")?.parse().ok()?;
    let enqueued_at = Timestamp(number("at").unwrap_or_default());
    let priority = number("priority").and_then(|n| i32::try_from(n).ok()).unwrap_or_default();
    let options = decode_options(field("options").unwrap_or_default(), priority).unwrap_or_default();
    let flow = text("flow").unwrap_or_default();
    let (batch, then) = flow.split_once('\n').unwrap_or((&flow, ""));
    Some(JobView {
        id,
        task: text("task").unwrap_or_default(),
        queue: queue.to_owned(),
        state,
        priority,
        enqueued_at,
        run_at: number("run_at").map_or(enqueued_at, Timestamp),
        finished_at: number("finished").map(Timestamp),
        payload_bytes: bytes("#payload"),
        max_attempts: options.max_attempts,
        attempts_started: number("starts").and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        key: text("key"),
        unique_key: text("unique"),
        expires_at: number("start_by").map(Timestamp),
        held_by: text("held"),
        progress: text("progress").and_then(|text| text.parse().ok()),
        cancelling: state == State::Running && field("cancel").is_some(),
        attempts: History::decode(field("history").unwrap_or_default()).into_attempts(),
        result_bytes: (state == State::Succeeded).then(|| bytes("#reply")),
        batch: batch.parse().ok(),
        then: chain::decode(then),
    })
}
