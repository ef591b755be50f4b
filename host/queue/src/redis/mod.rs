//! The broker for production and for more than one machine: Redis 7.0 or newer, or Valkey.
//!
//! Every verb is one Lua script a queue, so one round trip and one atomic step; `docs/queue-protocol.md` is the page for
//! people and for producers in other languages.
//!
//! * `keys`: the name of every key
//! * `scripts` and `scripts/*.lua`: the verbs
//! * `divide`: what is handed over at once, as script calls
//! * `record`: both directions between our types and what scripts take and answer
//! * `address`: where Redis is, as a URL says it
//! * `way`: the ways there: one server, the primary that sentinels name, a cluster
//! * `link`: the connection, made again for ever
//! * `load`: how long a call may take
//! * `take`: leases, new ones and expired ones; `leased` reads what scripts answer of them
//! * `news`: how an idle worker is woken
//! * `requests`: how a worker hears that a running job is to be cancelled
//! * `inspect`, `control`, `fleet`, `checkup`: for people and screens
//! * `cron`: periodic jobs
//! * `flows`: batches
//! * `outbox`: jobs that attempts enqueued into other queues
//! * `errors`, `server`, `rights`: what Redis can say, as sentences, and what a user of it may not do

mod address;
mod checkup;
mod control;
mod cron;
mod divide;
mod errors;
mod fleet;
mod flows;
pub(crate) mod fuzzing;
mod inspect;
mod keys;
mod leased;
mod link;
mod load;
mod news;
mod outbox;
mod record;
mod requests;
mod rights;
mod scripts;
mod server;
mod take;
mod way;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::address::Address;
use self::divide::{by_queue, carried_bytes, chunks, put};
use self::keys::Keys;
use self::link::Link;
use self::load::RESPONSE_TIMEOUT;
use self::news::{Look, News, What};
use self::record::{Answer, micros};
use self::requests::Requests;
use self::scripts::{Call, Script};
use self::way::Way;
use crate::broker::{Broker, BrokerError, Enqueued, Note, Promoted, Retention, Settle, Settled, Waited};
use crate::clock::Clock;
use crate::job::{NewJob, PAYLOAD_CEILING};
use crate::lease::{Beat, Extended, Lease, LeaseRef, LeaseRequest};
use crate::log::MAX_LOG_BYTES;
use crate::policy::{KEEP_CANCELLED, KEEP_EXPIRED};
use crate::steps;
use crate::tokens::Tokens;
use crate::url::without_credentials;

/// The most jobs of one queue that one call may enqueue: they are accepted in one step, and a longer one would keep
/// every other client of the server waiting.
pub const MAX_ENQUEUE: usize = 10_000;

/// The most jobs one script call leases, extends, settles or promotes; more are more calls.
const BATCH: usize = 500;

/// The most bytes of results and new payloads one script call carries, one settlement whatever its size.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// The most bytes of jobs for other queues that one look brings, one job whatever its size; `promote.lua` sees to it.
const OUTBOX_BYTES: usize = 4 * 1024 * 1024;

/// Jobs in Redis. Calls may run side by side: they share one connection.
pub struct RedisBroker {
    link: Link,
    clock: Clock,
    news: Arc<News>,
    requests: Arc<Requests>,
    /// Queues this broker has put on the list of queues when it leased from them.
    listed: Mutex<HashSet<String>>,
    /// Queues that could not be served when it last promoted, while others were.
    unserved: Mutex<HashSet<String>>,
    tokens: Tokens,
    /// Whether it is as the next version would be.
    #[cfg(feature = "steps")]
    next: bool,
}

impl RedisBroker {
    /// A broker in the Redis at `url`: `redis://`, `redis+sentinel://` or `redis+cluster://`, or the same with `rediss`
    /// for TLS. Connects at the first call, so the server need not be up.
    ///
    /// # Errors
    /// [`BrokerError::Unusable`] if the URL is malformed.
    pub fn new(url: &str, clock: Clock) -> Result<Self, BrokerError> {
        let place = without_credentials(url);
        let address = url.parse::<Address>().map_err(BrokerError::Unusable)?;
        let way = Way::new(address)
            .map_err(|error| BrokerError::Unusable(format!("`{place}` cannot be used as a broker's URL: {error}")))?;
        let news = Arc::<News>::default();
        let requests = Arc::<Requests>::default();
        let link = Link::new(way, place, news.clone(), requests.clone());
        Ok(Self {
            link,
            clock,
            news,
            requests,
            listed: Mutex::default(),
            unserved: Mutex::default(),
            tokens: Tokens::new(),
            #[cfg(feature = "steps")]
            next: false,
        })
    }

    /// The same as the next version of Afresh would have it, which writes records that this one does not know. For tests.
    #[cfg(feature = "steps")]
    #[doc(hidden)]
    #[must_use]
    pub fn of_the_next_version(self) -> Self {
        Self { next: true, ..self }
    }

    /// A call of a script on a queue, at this time.
    fn call(&self, script: &'static Script, queue: &str) -> Call {
        #[cfg(feature = "steps")]
        let script = if self.next { script.next() } else { script };
        let mut call = script.call(&[Keys::of(queue).queue()]);
        call.arg(self.now());
        call
    }

    /// What a script is given as now: a test's clock, or nothing, so that it asks the server's.
    fn now(&self) -> String {
        self.clock.fixed().map(|at| at.0.to_string()).unwrap_or_default()
    }

    async fn enqueue_into(&self, queue: &str, jobs: &[&NewJob]) -> Result<Vec<Answer>, BrokerError> {
        let mut call = self.call(&scripts::ENQUEUE, queue);
        for job in jobs {
            record::add_new_job(&mut call, job);
        }
        // Every time, not once: the list may have been lost with the server's data. It costs no round trip, and comes behind
        // the jobs, which somebody may wait for.
        let (answers, ()) = tokio::try_join!(self.link.invoke(&call), self.list(queue))?;
        Ok(answers)
    }

    /// Puts a queue on the list of queues.
    async fn list(&self, queue: &str) -> Result<(), BrokerError> {
        self.link.query(redis::cmd("SADD").arg(keys::QUEUES).arg(queue)).await
    }

    fn listed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn extend_in(&self, queue: &str, beats: &[&Beat], duration: Duration) -> Result<Vec<Extended>, BrokerError> {
        let mut call = self.call(&scripts::EXTEND, queue);
        call.arg(micros(duration));
        for Beat { lease, begun } in beats {
            call.arg(lease.id.as_str()).arg(lease.token).arg(u8::from(*begun));
        }
        let answers: Vec<i64> = self.link.invoke(&call).await?;
        Ok(answers.into_iter().map(record::extended).collect())
    }

    async fn settle_in(&self, queue: &str, settlements: &[&Settle]) -> Result<Vec<bool>, BrokerError> {
        let mut call = self.call(&scripts::SETTLE, queue);
        call.arg(micros(KEEP_CANCELLED));
        let places = record::add_settlements(&mut call, settlements);
        let mut done = vec![false; settlements.len()];
        put(&mut done, &places, self.link.invoke(&call).await?);
        Ok(done)
    }

    async fn promote_in(&self, queue: &str, retention: &Retention, promoted: &mut Promoted) -> Result<(), BrokerError> {
        loop {
            self.news.look(queue, Look::Promote);
            let mut call = self.call(&scripts::PROMOTE, queue);
            call.arg(BATCH).arg(micros(KEEP_EXPIRED)).arg(micros(retention.dead_for)).arg(retention.dead_bytes);
            call.answers(OUTBOX_BYTES);
            let found: record::Promoted = self.link.invoke(&call).await?;
            promoted.moved += found.moved;
            let fired = self.fire(queue, found.crons, found.now).await?;
            // Those that are left come with the next look, which is due at once.
            self.send(queue, found.letters).await;
            if !fired && !found.more {
                promoted.next = promoted.next.into_iter().chain(found.next).min();
                return Ok(());
            }
        }
    }

    /// Says, when that changes, that a queue cannot be served while others are.
    fn note_served(&self, queue: &str, error: Option<&BrokerError>) {
        let mut unserved = self.unserved.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) if unserved.insert(queue.to_owned()) => {
                tracing::error!(queue, "the queue cannot be served now, it is tried again until it can: {error}");
            }
            None if unserved.remove(queue) => tracing::info!(queue, "the queue is served again"),
            _ => {}
        }
    }
}

#[async_trait]
impl Broker for RedisBroker {
    fn describe(&self) -> String {
        self.link.place().to_owned()
    }

    async fn check(&self) -> Result<(), BrokerError> {
        for (node, info) in self.link.each::<String>(&redis::cmd("INFO")).await? {
            let place = self.link.place();
            server::check_version(&info, place)
                .and_then(|()| server::check_kind(&info, place))
                .map_err(BrokerError::Unusable)?;
            if let Some(warning) = server::eviction_warning(&info, node.as_deref().unwrap_or(place)) {
                tracing::warn!("{warning}");
            }
        }
        // A write finds out the rest: a replica, a full memory, a full disk, a user without permission.
        self.link.query(redis::cmd("SET").arg(keys::CHECK).arg(1).arg("PX").arg(1000)).await
    }

    async fn check_to_work(&self) -> Result<(), BrokerError> {
        let checked = self.check().await;
        // A Redis that takes no writes now may be drained by a worker, if it has the rights.
        if let Ok(()) | Err(BrokerError::Refused(_)) = checked {
            self.link.check_rights(&scripts::ALL.iter().flat_map(|script| script.commands()).collect()).await?;
            self.link.listen().await?;
        }
        checked
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
        let mut answers: Vec<_> = jobs.iter().map(|_| Answer::SameId).collect();
        for (queue, places) in queues {
            let these: Vec<_> = places.iter().map(|&place| &jobs[place]).collect();
            put(&mut answers, &places, self.enqueue_into(queue, &these).await?);
        }
        Ok(jobs.into_iter().zip(answers).map(|(job, answer)| answer.of(job.id)).collect())
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        request.queues.iter().for_each(|queue| self.news.look(queue, Look::Lease));
        let taken = self.take(&scripts::LEASE, request).await;
        // Whoever waits next shall not wait for a message about what was left here.
        if !matches!(taken, Ok((_, false))) {
            request.queues.iter().for_each(|queue| self.news.of(queue, What::Ready));
        }
        taken.map(|(leases, _)| leases)
    }

    async fn extend(&self, leases: &[Beat], duration: Duration) -> Result<Vec<Extended>, BrokerError> {
        let (mut extended, mut failed) = (vec![Extended::Lost; leases.len()], None);
        for (queue, places) in by_queue(leases, |beat| &beat.lease.queue) {
            for places in places.chunks(BATCH) {
                let these: Vec<_> = places.iter().map(|&place| &leases[place]).collect();
                match self.extend_in(queue, &these, duration).await {
                    Ok(answers) => put(&mut extended, places, answers),
                    Err(error) if self.link.is_of_one_queue(&error) => {
                        failed = failed.or(Some(error));
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        failed.map_or(Ok(extended), Err)
    }

    async fn cancellations(&self) -> Vec<LeaseRef> {
        // Where nobody can be heard, `extend` tells: nothing is missed, it only takes longer.
        if self.link.listen().await.is_err() {
            tokio::time::sleep(RESPONSE_TIMEOUT).await;
            return Vec::new();
        }
        self.requests.wait().await
    }

    async fn note(&self, notes: &[Note]) -> Result<(), BrokerError> {
        for (queue, places) in by_queue(notes, |note| &note.lease.queue) {
            for places in places.chunks(BATCH) {
                let mut call = self.call(&scripts::NOTE, queue);
                call.arg(MAX_LOG_BYTES);
                places.iter().for_each(|&place| record::add_note(&mut call, &notes[place]));
                let (): () = self.link.invoke(&call).await?;
            }
        }
        Ok(())
    }

    async fn settle(&self, settlements: &[Settle]) -> Result<Vec<Settled>, BrokerError> {
        let (mut done, mut failed) = (vec![false; settlements.len()], None);
        for (queue, places) in by_queue(settlements, |settle| &settle.lease.queue) {
            for places in chunks(&places, |place| carried_bytes(&settlements[place])) {
                if done.contains(&true) {
                    steps::reached("settled-half");
                }
                let these: Vec<_> = places.iter().map(|&place| &settlements[place]).collect();
                match self.settle_in(queue, &these).await {
                    Ok(answers) => put(&mut done, places, answers),
                    Err(error) if self.link.is_of_one_queue(&error) => {
                        failed = failed.or(Some(error));
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(done.into_iter().map(|done| if done { Settled::Done } else { Settled::Stale }).collect())
    }

    async fn promote(&self, queues: &[String], retention: &Retention) -> Result<Promoted, BrokerError> {
        let mut promoted = Promoted::default();
        let (mut served, mut failed) = (false, None);
        for queue in queues {
            match self.promote_in(queue, retention, &mut promoted).await {
                Ok(()) => {
                    served = true;
                    self.note_served(queue, None);
                }
                Err(error) if self.link.is_of_one_queue(&error) => {
                    self.note_served(queue, Some(&error));
                    failed = failed.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        match failed {
            Some(error) if !served => Err(error),
            _ => Ok(promoted),
        }
    }

    async fn reap(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        self.take(&scripts::REAP, request).await.map(|(leases, _)| leases)
    }

    /// A broker that cannot be reached has no news: then this takes as long as it may, and the caller tries again.
    async fn wait(&self, queues: &[String], at_most: Duration) -> Waited {
        let news = async {
            match self.link.listen().await {
                Ok(()) => self.news.wait(queues).await,
                Err(_) => std::future::pending().await,
            }
        };
        // Running out of time is an answer like any other.
        tokio::time::timeout(at_most, news).await.unwrap_or(Waited::Ready)
    }
}
