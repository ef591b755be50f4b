//! What happens to a queue: jobs come, people interfere, workers come, go and vanish.

use std::time::Duration;

use afresh_queue::{Batch, JobId, JobOptions, Limit, Link, Member, NewJob, Rate, Scope, Timestamp};
use arbitrary::{Result, Unstructured};

use super::habits;

/// The queue of all jobs.
pub const QUEUE: &str = "default";

/// The most things that happen.
const MOST: usize = 40;

/// The most attempts a job asks for.
pub const MOST_ATTEMPTS: u32 = 4;

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A job comes.
    Job(NewJob),
    /// Jobs come together.
    Batch(Batch),
    /// A person cancels a job: the one that came so many before the last.
    Cancel(usize),
    /// A person cancels the last batch.
    CancelBatch,
    /// A person pauses something, or lets it go on.
    Pause(Scope, bool),
    /// A person limits something.
    Limit(Scope, Limit),
    /// A worker of so many slots starts; when it shuts down, its attempts have so long.
    Start(usize, Duration),
    /// The oldest worker shuts down.
    ShutDown,
    /// The oldest worker vanishes.
    Vanish,
    /// Time passes.
    Pass(Duration),
}

/// A history.
///
/// # Errors
/// When the bytes are used up.
pub fn history(u: &mut Unstructured<'_>) -> Result<Vec<Happening>> {
    let mut names = Names::default();
    let mut history = Vec::new();
    while !u.is_empty() && history.len() < MOST {
        history.push(happening(u, &mut names)?);
    }
    Ok(history)
}

/// Gives every job of a history an id of its own.
#[derive(Default)]
struct Names(usize);

impl Names {
    fn next(&mut self) -> JobId {
        self.0 += 1;
        format!("j{}", self.0).parse().expect("an id")
    }
}

fn happening(u: &mut Unstructured<'_>, names: &mut Names) -> Result<Happening> {
    Ok(match u.int_in_range(0..=31)? {
        0..=11 => Happening::Job(job(u, names)?),
        12 | 13 => Happening::Batch(batch(u, names, 1)?),
        14..=16 => Happening::Cancel(u.int_in_range(0..=7)?),
        17 => Happening::CancelBatch,
        18 => Happening::Pause(scope(u)?, true),
        19 => Happening::Pause(scope(u)?, false),
        20 => Happening::Limit(scope(u)?, limit(u)?),
        21..=24 => Happening::Start(u.int_in_range(1..=3)?, Duration::from_millis(u.int_in_range(0..=10)?)),
        25 | 26 => Happening::ShutDown,
        27 => Happening::Vanish,
        _ => Happening::Pass(Duration::from_micros(*u.choose(&[100, 500, 1_000, 3_000, 10_000])?)),
    })
}

fn job(u: &mut Unstructured<'_>, names: &mut Names) -> Result<NewJob> {
    let mut job = NewJob::new(task(u)?, "payload").id(names.next()).queue(QUEUE).options(options(u)?);
    job.key = if u.ratio(1, 3)? { Some(key(u)?) } else { None };
    let soon = |u: &mut Unstructured<'_>| Ok(Timestamp::now().after(Duration::from_millis(u.int_in_range(0..=20)?)));
    job.run_at = if u.ratio(1, 6)? { Some(soon(u)?) } else { None };
    job.expires_at = if u.ratio(1, 10)? { Some(soon(u)?) } else { None };
    if u.ratio(1, 6)? {
        for _ in 0..u.int_in_range(1..=3)? {
            job.then.push(Link { options: options(u)?, ..Link::new(names.next(), task(u)?) });
        }
    }
    Ok(job)
}

fn batch(u: &mut Unstructured<'_>, names: &mut Names, depth: u32) -> Result<Batch> {
    let mut jobs = Vec::new();
    for _ in 0..u.int_in_range(1..=4)? {
        let nested = depth < 3 && u.ratio(1, 6)?;
        jobs.push(if nested { Member::Batch(batch(u, names, depth + 1)?) } else { Member::Job(job(u, names)?) });
    }
    // What is enqueued in a batch's name comes when it comes.
    let then = if u.ratio(1, 2)? { Some(NewJob { run_at: None, expires_at: None, ..job(u, names)? }) } else { None };
    Ok(Batch { id: names.next(), queue: QUEUE.to_owned(), jobs, then })
}

fn task(u: &mut Unstructured<'_>) -> Result<&'static str> {
    // Now and then one that nobody has.
    let index = u.int_in_range(0..=habits::ALL.len() + 2)?;
    Ok(match habits::ALL.get(index) {
        Some((name, _)) => name,
        None if index == habits::ALL.len() => "missing",
        None => "reply",
    })
}

fn options(u: &mut Unstructured<'_>) -> Result<JobOptions> {
    Ok(JobOptions {
        priority: u.int_in_range(-1..=1)?,
        max_attempts: Some(u.int_in_range(1..=MOST_ATTEMPTS)?),
        min_backoff_ms: Some(0),
        max_backoff_ms: Some(u.int_in_range(0..=4)?),
        timeout_ms: Some(u.int_in_range(1..=8)?),
        memory: Some(u.int_in_range(1..=8)? << 16),
    })
}

fn key(u: &mut Unstructured<'_>) -> Result<String> {
    Ok((*u.choose(&["a", "b"])?).to_owned())
}

fn scope(u: &mut Unstructured<'_>) -> Result<Scope> {
    Ok(match u.int_in_range(0..=3)? {
        0 => Scope::Queue,
        1 => Scope::Task(task(u)?.to_owned()),
        2 => Scope::Key(key(u)?),
        _ => Scope::EachKey,
    })
}

fn limit(u: &mut Unstructured<'_>) -> Result<Limit> {
    let concurrency = if u.ratio(1, 2)? { Some(u.int_in_range(1..=2)?) } else { None };
    let rate =
        if u.ratio(1, 2)? { Some(Rate::new(u.int_in_range(100..=2_000)?, Duration::from_secs(1))) } else { None };
    Ok(Limit { concurrency, rate })
}
