//! The broker for production and for more than one machine: Redis 7.0 or newer, or Valkey.
//!
//! Every verb is one Lua script a queue, so one round trip and one atomic step; `docs/queue-protocol.md` is the page for
//! people and for producers in other languages.
//!
//! * `keys`: the name of every key
//! * `scripts` and `scripts/*.lua`: the verbs
//! * `record`: both directions between our types and what scripts take and answer
//! * `link`: the connection, made again for ever
//! * `news`: how an idle worker is woken
//! * `inspect`, `fleet`, `checkup`: for people and screens
//! * `errors`, `server`: what Redis can say, as sentences

mod checkup;
mod errors;
mod fleet;
mod inspect;
mod keys;
mod link;
mod news;
mod record;
mod scripts;
mod server;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use afresh_protocol::{ErrorRecord, OutcomeKind, Usage};
use async_trait::async_trait;
use redis::{Script, ScriptInvocation};

use self::keys::Keys;
use self::link::Link;
use self::news::News;
use self::record::{Leased, Unreadable, micros};
use crate::broker::{Broker, BrokerError, Enqueued, Promoted, Settle, Settled};
use crate::clock::{Clock, Timestamp};
use crate::history::{AttemptRecord, History};
use crate::job::{NewJob, PAYLOAD_CEILING};
use crate::lease::{Lease, LeaseRef, LeaseRequest};
use crate::policy::Settlement;
use crate::url::without_credentials;

/// The most jobs of one queue that one call may enqueue: they are accepted in one step, and a longer one would keep
/// every other client of the server waiting.
pub const MAX_ENQUEUE: usize = 10_000;

/// The most jobs one script call leases, extends, settles or promotes; more are more calls.
const BATCH: usize = 500;

/// The most bytes of results one script call carries, one settlement whatever its size.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Jobs in Redis. Calls may run side by side: they share one connection.
pub struct RedisBroker {
    link: Link,
    clock: Clock,
    news: Arc<News>,
    /// Queues this broker has put on the list of queues when it leased from them.
    listed: Mutex<HashSet<String>>,
}

impl RedisBroker {
    /// A broker in the Redis at `url` (`redis://` or `rediss://`). Connects at the first call, so the server need not be
    /// up.
    ///
    /// # Errors
    /// [`BrokerError::Unusable`] if the URL is malformed.
    pub fn new(url: &str, clock: Clock) -> Result<Self, BrokerError> {
        let place = without_credentials(url);
        let news = Arc::<News>::default();
        let link = Link::new(url, place.clone(), news.clone()).map_err(|error| {
            BrokerError::Unusable(format!(
                "`{place}` is not the URL of a Redis server ({error}): write redis://HOST:PORT"
            ))
        })?;
        Ok(Self { link, clock, news, listed: Mutex::default() })
    }

    /// A call of a script with all keys of a queue, and the time.
    fn call<'a>(&self, script: &'a Script, queue: &str) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(Keys::of(queue).all().as_slice()).arg(self.now());
        call
    }

    /// What a script is given as now: a test's clock, or nothing, so that it asks the server's.
    fn now(&self) -> String {
        self.clock.fixed().map(|at| at.0.to_string()).unwrap_or_default()
    }

    async fn enqueue_into(&self, queue: &str, jobs: &[&NewJob]) -> Result<Vec<bool>, BrokerError> {
        let mut call = scripts::ENQUEUE.prepare_invoke();
        call.key(Keys::of(queue).for_enqueue().as_slice()).arg(self.now());
        for job in jobs {
            record::add_new_job(&mut call, job);
        }
        // Every time, not once: the list may have been lost with the server's data. It costs no round trip.
        let ((), created) = tokio::try_join!(self.list(queue), self.link.invoke(&call))?;
        Ok(created)
    }

    /// Puts a queue on the list of queues.
    async fn list(&self, queue: &str) -> Result<(), BrokerError> {
        self.link.query(redis::cmd("SADD").arg(keys::QUEUES).arg(queue)).await
    }

    fn listed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases from the queues in turn, or takes over their expired leases, until the request is filled. True if there
    /// may be more.
    async fn take(&self, script: &Script, request: &LeaseRequest) -> Result<(Vec<Lease>, bool), BrokerError> {
        let mut leases = Vec::new();
        let mut bytes = request.max_bytes;
        for queue in &request.queues {
            loop {
                let max = request.max.saturating_sub(leases.len()).min(BATCH);
                if max == 0 {
                    return Ok((leases, true));
                }
                let mut call = self.call(script, queue);
                call.arg(max).arg(bytes).arg(micros(request.duration)).arg(&request.worker).arg(leases.len());
                let leased: Leased = match self.link.invoke(&call).await {
                    Ok(leased) => leased,
                    // What is leased already must not be dropped, and lost; the next call will say this again.
                    Err(_) if !leases.is_empty() => return Ok((leases, true)),
                    Err(error) => return Err(error),
                };
                let (more, count) = (leased.more, leased.rows.len());
                bytes = bytes.saturating_sub(leased.bytes);
                leases.extend(self.readable(queue, leased, request).await?);
                if !more {
                    break;
                }
                if count < max {
                    return Ok((leases, true));
                }
            }
        }
        Ok((leases, false))
    }

    /// The leases that can be run; the others are buried where people see them, so that they cannot block their queue.
    async fn readable(&self, queue: &str, leased: Leased, by: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        let now = leased.now;
        let mut leases = Vec::with_capacity(leased.rows.len());
        let mut unreadable = Vec::new();
        for row in leased.rows {
            match row.into_lease(queue, now, by.duration) {
                Ok(lease) => leases.push(lease),
                Err(job) => unreadable.push(job),
            }
        }
        // A producer in another language may have forgotten to list the queue. A full Redis refuses this, and still the
        // jobs are leased: then the next lease tries again.
        if !leases.is_empty() && !self.listed().contains(queue) && self.list(queue).await.is_ok() {
            self.listed().insert(queue.to_owned());
        }
        if !unreadable.is_empty() {
            // Where this fails their leases expire, and it is tried again.
            if let Err(error) = self.bury(queue, &unreadable, now, &by.worker).await {
                tracing::error!(queue, "failed to bury jobs that cannot be read: {error}");
            }
        }
        Ok(leases)
    }

    async fn bury(&self, queue: &str, jobs: &[Unreadable], now: Timestamp, worker: &str) -> Result<(), BrokerError> {
        let mut call = self.call(&scripts::SETTLE, queue);
        for job in jobs {
            tracing::error!(queue, job = job.id, reason = job.reason, "a job's record cannot be read: it is dead");
            let mut history = History::default();
            history.push(AttemptRecord {
                number: job.starts,
                worker: worker.to_owned(),
                module: None,
                started_at: None,
                finished_at: now,
                outcome: OutcomeKind::Rejected,
                error: Some(ErrorRecord::new("bad_record", format!("its record cannot be read: {}", job.reason))),
                usage: Usage::default(),
            });
            record::add_burial(&mut call, job, &history);
        }
        self.link.invoke::<Vec<bool>>(&call).await.map(drop)
    }

    async fn settle_in(&self, queue: &str, settlements: &[&Settle]) -> Result<Vec<bool>, BrokerError> {
        let mut call = self.call(&scripts::SETTLE, queue);
        for settle in settlements {
            record::add_settlement(&mut call, settle);
        }
        self.link.invoke(&call).await
    }
}

#[async_trait]
impl Broker for RedisBroker {
    fn describe(&self) -> String {
        self.link.place().to_owned()
    }

    async fn check(&self) -> Result<(), BrokerError> {
        let info: String = self.link.query(redis::cmd("INFO").arg("server")).await?;
        server::check_version(&info, self.link.place()).map_err(BrokerError::Unusable)?;
        let memory: String = self.link.query(redis::cmd("INFO").arg("memory")).await?;
        if let Some(warning) = server::eviction_warning(&memory, self.link.place()) {
            tracing::warn!("{warning}");
        }
        // A write finds out the rest: a replica, a full memory, a full disk, a user without permission.
        self.link.query(redis::cmd("SET").arg(keys::CHECK).arg(1).arg("PX").arg(1000)).await
    }

    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, BrokerError> {
        for job in &jobs {
            job.validate(PAYLOAD_CEILING).map_err(BrokerError::Invalid)?;
        }
        let queues = by_queue(&jobs, |job| &job.queue);
        for (queue, places) in &queues {
            if places.len() > MAX_ENQUEUE {
                return Err(BrokerError::Invalid(format!(
                    "{} jobs for the queue `{queue}` are too many for one call: hand over at most {MAX_ENQUEUE} at once",
                    places.len()
                )));
            }
        }
        let mut created = vec![false; jobs.len()];
        for (queue, places) in queues {
            let these: Vec<_> = places.iter().map(|&place| &jobs[place]).collect();
            put(&mut created, &places, self.enqueue_into(queue, &these).await?);
        }
        Ok(jobs.into_iter().zip(created).map(|(job, created)| Enqueued { id: job.id, created }).collect())
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        request.queues.iter().for_each(|queue| self.news.look(queue));
        let taken = self.take(&scripts::LEASE, request).await;
        // Whoever waits next shall not wait for a message about what was left here.
        if !matches!(taken, Ok((_, false))) {
            request.queues.iter().for_each(|queue| self.news.of(queue));
        }
        taken.map(|(leases, _)| leases)
    }

    async fn extend(&self, leases: &[LeaseRef], duration: Duration) -> Result<Vec<bool>, BrokerError> {
        let mut extended = vec![false; leases.len()];
        for (queue, places) in by_queue(leases, |lease| &lease.queue) {
            for places in places.chunks(BATCH) {
                let mut call = self.call(&scripts::EXTEND, queue);
                call.arg(micros(duration));
                for &place in places {
                    call.arg(leases[place].id.as_str()).arg(leases[place].token);
                }
                put(&mut extended, places, self.link.invoke(&call).await?);
            }
        }
        Ok(extended)
    }

    async fn settle(&self, settlements: &[Settle]) -> Result<Vec<Settled>, BrokerError> {
        let mut done = vec![false; settlements.len()];
        for (queue, places) in by_queue(settlements, |settle| &settle.lease.queue) {
            for places in chunks(&places, |place| reply_bytes(&settlements[place])) {
                let these: Vec<_> = places.iter().map(|&place| &settlements[place]).collect();
                put(&mut done, places, self.settle_in(queue, &these).await?);
            }
        }
        Ok(done.into_iter().map(|done| if done { Settled::Done } else { Settled::Stale }).collect())
    }

    async fn promote(&self, queues: &[String]) -> Result<Promoted, BrokerError> {
        let mut promoted = Promoted::default();
        for queue in queues {
            loop {
                let mut call = self.call(&scripts::PROMOTE, queue);
                let (moved, more, next): (usize, bool, i64) = self.link.invoke(call.arg(BATCH)).await?;
                promoted.moved += moved;
                if more {
                    continue;
                }
                let next = u64::try_from(next).ok().map(Duration::from_micros);
                promoted.next = promoted.next.into_iter().chain(next).min();
                break;
            }
        }
        Ok(promoted)
    }

    async fn reap(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        self.take(&scripts::REAP, request).await.map(|(leases, _)| leases)
    }

    /// A broker that cannot be reached has no news: then this takes as long as it may, and the caller tries again.
    async fn wait(&self, queues: &[String], at_most: Duration) {
        let news = async {
            match self.link.listen().await {
                Ok(()) => self.news.wait(queues).await,
                Err(_) => std::future::pending().await,
            }
        };
        // Running out of time is an answer like any other.
        let _ = tokio::time::timeout(at_most, news).await;
    }
}

/// The places in `items` of what belongs to each queue.
fn by_queue<T>(items: &[T], queue: impl Fn(&T) -> &String) -> BTreeMap<&str, Vec<usize>> {
    let mut queues = BTreeMap::<&str, Vec<usize>>::new();
    for (place, item) in items.iter().enumerate() {
        queues.entry(queue(item)).or_default().push(place);
    }
    queues
}

/// Puts answers where the questions stood.
fn put(all: &mut [bool], places: &[usize], answers: Vec<bool>) {
    for (&place, answer) in places.iter().zip(answers) {
        all[place] = answer;
    }
}

/// The places in order, in chunks that one script call can carry.
fn chunks(mut places: &[usize], bytes: impl Fn(usize) -> usize) -> Vec<&[usize]> {
    let mut chunks = Vec::new();
    while !places.is_empty() {
        let mut sum = 0_usize;
        let fits = places.iter().take(BATCH).take_while(|&&place| {
            sum = sum.saturating_add(bytes(place));
            sum <= BATCH_BYTES
        });
        let (chunk, rest) = places.split_at(fits.count().max(1));
        chunks.push(chunk);
        places = rest;
    }
    chunks
}

fn reply_bytes(settle: &Settle) -> usize {
    match &settle.settlement {
        Settlement::Complete { reply, .. } => reply.len(),
        _ => 0,
    }
}
