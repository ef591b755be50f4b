//! Tasks that do the same natively and in a sandbox, or one of the two is wrong: for the target `differential`.

use std::collections::BTreeMap;
use std::time::Duration;

use afresh::{Context, NewJob, TaskError, task};
use serde::{Deserialize, Serialize};

/// What [`script`] is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Script {
    /// What it says while it runs.
    pub steps: Vec<Step>,
    /// How it ends.
    pub end: End,
}

/// Something a task says while it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    /// A line of the log, of a level from 0 to 3.
    Log(u8, String),
    /// So many hundredths; over 1 and below 0 as well.
    Progress(i32),
    /// A further job; where it is refused, the task goes on.
    Enqueue(Wish),
    /// A further job; where it is refused, the task fails with that.
    MustEnqueue(Wish),
}

/// A further job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wish {
    /// Its task.
    pub task: String,
    /// Its queue.
    pub queue: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// The wait before it, in nanoseconds.
    pub delay_ns: Option<u64>,
    /// Its priority.
    pub priority: Option<i32>,
    /// Its key.
    pub key: Option<String>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// How a task ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum End {
    /// It replies with that.
    Reply(String),
    /// It replies with so many bytes.
    LongReply(u32),
    /// It fails, and may ask for a wait in nanoseconds.
    Fail(String, Option<u64>),
    /// It fails for good.
    Reject(String),
    /// It wants to be run later, in so many nanoseconds.
    Snooze(u64),
    /// It panics.
    Panic(String),
    /// It indexes beyond the end of a list of that length.
    OutOfBounds(u8),
}

/// Does as it is told.
///
/// # Errors
/// As it is told.
///
/// # Panics
/// As it is told.
#[task(max_attempts = 3, timeout = "10s", memory = "16MiB")]
pub fn script(script: Script, ctx: &Context) -> Result<String, TaskError> {
    for step in script.steps {
        match step {
            Step::Log(level, text) => match level % 4 {
                0 => ctx.debug(text),
                1 => ctx.info(text),
                2 => ctx.warn(text),
                _ => ctx.error(text),
            },
            Step::Progress(hundredths) => ctx.progress(f64::from(hundredths) / 100.0),
            Step::Enqueue(wish) => match ctx.enqueue(wish.job()) {
                Ok(id) => ctx.info(id),
                Err(error) => ctx.warn(error.to_string()),
            },
            Step::MustEnqueue(wish) => {
                ctx.enqueue(wish.job())?;
            }
        }
    }
    match script.end {
        End::Reply(text) => Ok(text),
        End::LongReply(bytes) => Ok("x".repeat(bytes as usize)),
        End::Fail(text, None) => Err(TaskError::retry(text)),
        End::Fail(text, Some(wait)) => Err(TaskError::retry(text).retry_after(Duration::from_nanos(wait))),
        End::Reject(text) => Err(TaskError::reject(text)),
        End::Snooze(wait) => Err(TaskError::snooze(Duration::from_nanos(wait))),
        End::Panic(text) => panic!("{text}"),
        End::OutOfBounds(length) => Ok(vec![String::new(); length.into()][usize::from(length)].clone()),
    }
}

impl Wish {
    fn job(self) -> NewJob {
        let mut job = NewJob::raw(self.task, self.payload);
        if let Some(queue) = self.queue {
            job = job.queue(queue);
        }
        if let Some(id) = self.id {
            job = job.id(id);
        }
        if let Some(delay) = self.delay_ns {
            job = job.delay(Duration::from_nanos(delay));
        }
        if let Some(priority) = self.priority {
            job = job.priority(priority);
        }
        if let Some(key) = self.key {
            job = job.key(key);
        }
        job
    }
}

/// Replies with what it is given, whatever that is.
#[task]
pub fn echo(value: serde_json::Value) -> serde_json::Value {
    value
}

/// One of everything that serde knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    small: u8,
    large: i64,
    wide: u128,
    float: f64,
    single: f32,
    letter: char,
    text: String,
    maybe: Option<bool>,
    pair: (i16, u32),
    list: Vec<Typed>,
    map: BTreeMap<String, i32>,
    choice: Choice,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(u64),
    Named { a: i8 },
}

/// Replies with what it is given, one more of it.
///
/// # Errors
/// Where there is no room for one more.
#[task]
pub fn typed(mut value: Typed, ctx: &Context) -> Result<Typed, TaskError> {
    ctx.info(format_args!("{value:?}"));
    value.small = value.small.checked_add(1).ok_or_else(|| TaskError::reject("no room for one more"))?;
    value.float /= 3.0;
    value.list.reverse();
    Ok(value)
}

/// Replies with the bytes the other way round.
#[task]
pub fn bytes(mut payload: Vec<u8>) -> Vec<u8> {
    payload.reverse();
    payload
}

/// Replies with nothing.
#[task]
pub fn nothing(_: ()) {}
