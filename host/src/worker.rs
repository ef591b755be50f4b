//! A worker: one running host process. Its loop reads *take slots, lease, run, decide, settle*.
//!
//! * [`turns`]: in which order the next lease asks its queues
//! * [`slots`]: the threads that guests run on, one attempt at a time each
//! * [`in_flight`]: the leases this worker holds, from lease to settlement
//! * [`begins`]: tells the broker of last attempts, and of those of jobs that were lost before, before they run
//! * [`verdict`]: what becomes of ended attempts, decided on the slots' threads; [`settler`]: settles that in batches
//! * [`notes`]: passes on what attempts say while they run
//! * [`heartbeat`]: extends the leases; [`until`]: when they end for sure
//! * [`truce`]: leaves those of others alone where all have expired
//! * [`canceller`]: ends attempts of jobs that are cancelled
//! * [`presence`]: tells people that this worker is there, and what it runs ([`board`])
//! * [`budget`]: the memory guests may take together

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_protocol::OutcomeKind;
use afresh_queue::log::MAX_LOG_BYTES;
use afresh_queue::{Broker, BrokerError, Lease, LeaseRequest, Retention, Waited, steps};
use afresh_sandbox::{Cancel, Reason};
use anyhow::Context as _;
use tokio::sync::Notify;

use crate::attempt::{Attempt, Ended, Voice, Workshop};
use crate::machine;
use crate::shutdown::Shutdown;

pub mod agenda;
pub mod backoff;
pub mod begins;
pub mod board;
pub mod budget;
pub mod canceller;
pub mod heartbeat;
pub mod in_flight;
pub mod lanes;
pub mod notes;
pub mod presence;
pub mod settler;
pub mod slots;
pub mod truce;
pub mod turns;
pub mod until;
pub mod verdict;

use agenda::Agenda;
use backoff::{Backoff, spread};
use begins::Begins;
use board::Board;
use canceller::Canceller;
use heartbeat::Heartbeat;
use in_flight::InFlight;
use notes::Notes;
use presence::Presence;
use settler::Settler;
use slots::Slots;
use truce::Truce;
use turns::{Served, Turns};
use until::{Moment, Until};
use verdict::Verdicts;

/// Even with nothing announced, look after the queues this often: records age, and announcements can be lost.
const AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// The most bytes of payloads and histories one lease brings: what a slow link carries before the broker's answer counts
/// as late.
const LEASE_BYTES: usize = 4 << 20;

/// A job that no slot has taken for so long goes back: attempts take longer than they did, and another worker may be idle.
const TOO_LONG: Duration = Duration::from_secs(1);

/// While expired leases are left alone, look after the queues no more often than this.
const TRUCE_LOOK: Duration = Duration::from_millis(100);

/// The most expired leases that are taken over in one round.
const MOST_REAPED: usize = 64;

/// How long, after the attempts were interrupted, their settlements may take before the process ends all the same.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The queues to serve.
    pub queues: Vec<Served>,
    /// Whether a queue is only served while those before it are empty, whatever the weights.
    pub strict: bool,
    /// Slots: attempts at the same time.
    pub slots: usize,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// How long attempts may go on after the shutdown has begun.
    pub shutdown_timeout: Duration,
    /// Whether to end once nothing is queued, scheduled or running.
    pub burst: bool,
    /// How long dead jobs are kept.
    pub retention: Retention,
}

/// One running host process.
pub struct Worker {
    broker: Arc<dyn Broker>,
    shop: Arc<Workshop>,
    settings: WorkerSettings,
    /// The names of the queues it serves.
    queues: Vec<String>,
    in_flight: Arc<InFlight>,
    agenda: Arc<Agenda>,
}

impl Worker {
    /// A worker that takes jobs from `broker` and runs them in `shop`.
    pub fn new(broker: Arc<dyn Broker>, shop: Arc<Workshop>, settings: WorkerSettings) -> Self {
        let in_flight = Arc::new(InFlight::new(settings.slots));
        let queues = settings.queues.iter().map(|queue| queue.name.clone()).collect();
        Self { broker, shop, settings, queues, in_flight, agenda: Arc::default() }
    }

    /// Works until the shutdown, or, in a burst, until there is nothing left to do. Every lease is given back or settled
    /// before this returns, unless the broker cannot be reached: then they will come back as *lost*.
    ///
    /// # Errors
    /// When a thread cannot be started, or the broker can never serve.
    pub async fn run(self, mut shutdown: Shutdown) -> anyhow::Result<()> {
        let (verdicts, arrivals) = Verdicts::new(self.in_flight.clone());
        let board = Arc::new(Board::new(self.settings.slots));
        let (begins, begin) = Begins::new(self.broker.clone(), self.in_flight.clone(), self.settings.lease);
        let begins = tokio::spawn(begins.run());
        let slots = Slots::start(self.shop.clone(), board.clone(), self.in_flight.clone(), begin, verdicts.clone())
            .context("failed to start the slots' threads")?;
        let notes = Arc::new(Notes::new(self.broker.clone(), self.in_flight.clone()));
        let settler = Settler::new(self.broker.clone(), self.in_flight.clone(), self.agenda.clone(), notes.clone());
        let notes = tokio::spawn(notes.run());
        let settler = tokio::spawn(settler.run(arrivals));
        let missed = Arc::<Notify>::default();
        let heartbeat =
            Heartbeat::new(self.broker.clone(), self.in_flight.clone(), self.settings.lease, missed.clone());
        let heartbeat = tokio::spawn(heartbeat.run());
        let canceller = tokio::spawn(Canceller::new(self.broker.clone(), self.in_flight.clone(), missed).run());
        let presence = Presence::new(self.broker.clone(), self.shop.clone(), board, &self.settings);
        let presence = tokio::spawn(presence.run(shutdown.clone()));

        let result = self.work(&slots, &verdicts, &mut shutdown).await;

        self.wind_down(&slots).await;
        // A slot that still waits for it gives its job back.
        begins.abort();
        slots.stop();
        drop(verdicts);
        if tokio::time::timeout(LAST_GRACE, settler).await.is_err() {
            tracing::warn!("the broker did not take the last settlements; these attempts will come back as lost");
        }
        notes.abort();
        canceller.abort();
        heartbeat.abort();
        presence.abort();
        // It may be in the middle of an announcement, which must not come after this.
        let _ = presence.await;
        steps::reached("wound-down");
        presence::withdraw(&*self.broker, &self.shop.worker).await;
        result
    }

    /// Leases and hands out until the shutdown begins.
    async fn work(&self, slots: &Slots, verdicts: &Verdicts, shutdown: &mut Shutdown) -> anyhow::Result<()> {
        let mut turns = Turns::new(&self.settings.queues, self.settings.strict);
        let mut truce = Truce::new(self.settings.lease, AT_LEAST_EVERY, Moment::now());
        let mut trouble = Backoff::default();
        while !shutdown.has_begun() {
            match self.tick(slots, verdicts, &mut turns, &mut truce).await {
                Ok(Next::Again) => trouble.over("the broker answers again"),
                Ok(Next::Finished) => return Ok(()),
                Ok(Next::Wait { at_most, asked }) => {
                    if asked {
                        trouble.over("the broker answers again");
                    }
                    tokio::select! {
                        () = self.wait(at_most) => {}
                        () = shutdown.begun() => {}
                    }
                }
                Err(error) if error.is_transient() => {
                    let pause = trouble.pause("failed to take jobs", &error);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = shutdown.begun() => {}
                    }
                }
                Err(error) => return Err(error).context("failed to take jobs"),
            }
        }
        Ok(())
    }

    /// One round: make due jobs available if it is time, lease as much as there is room for, take over what was lost.
    async fn tick(
        &self,
        slots: &Slots,
        verdicts: &Verdicts,
        turns: &mut Turns,
        truce: &mut Truce,
    ) -> Result<Next, BrokerError> {
        // Before the lease, so that a due job starts at once; and however full the queues are, so that it starts at all.
        let due = self.agenda.is_due();
        if due {
            self.promote(truce).await?;
        }
        let (room, asked) = (self.in_flight.room(), Moment::now());
        let leased = if room == 0 { Vec::new() } else { self.lease(room, turns).await? };
        let more = room > 0 && leased.len() == room;
        for lease in leased {
            self.start(lease, asked, slots);
        }
        if due {
            self.reap(verdicts, truce).await?;
            if slots.give_back_older_than(TOO_LONG) > 0 {
                self.in_flight.forget_mean();
            }
        }
        if more {
            return Ok(Next::Again);
        }
        if self.settings.burst && self.in_flight.is_empty() && self.nothing_left().await? {
            return Ok(Next::Finished);
        }
        Ok(Next::Wait { at_most: self.agenda.until(), asked: due || room > 0 })
    }

    /// Leases up to `room` jobs, from the queues whose turn it is.
    async fn lease(&self, room: usize, turns: &mut Turns) -> Result<Vec<Lease>, BrokerError> {
        let leased = self.broker.lease(&self.request(turns.order(), room)).await?;
        if !leased.is_empty() {
            steps::reached("leased");
        }
        turns.took(leased.iter().map(|lease| lease.job.queue.as_str()));
        Ok(leased)
    }

    fn start(&self, lease: Lease, asked: Moment, slots: &Slots) {
        let (cancel, voice) = (Cancel::new(), Voice::new(&lease, MAX_LOG_BYTES));
        let watch = voice.watch();
        let until = Until::new(asked, self.settings.lease);
        self.in_flight.add(lease.reference(), cancel.clone(), Some(voice), until.clone());
        slots.hand(Attempt { lease, cancel, watch, until, arrived: Instant::now() });
    }

    /// Makes due jobs available, and notes when the next ones are.
    async fn promote(&self, truce: &Truce) -> Result<(), BrokerError> {
        // First: what is announced from here on is for the next round.
        self.agenda.begin_round(spread(AT_LEAST_EVERY));
        let promoted = self.broker.promote(&self.queues, &self.settings.retention).await?;
        steps::reached("promoted");
        if let Some(next) = promoted.next {
            // Leases that have expired are due at once, and in a truce nobody takes them over.
            self.agenda.at_latest(if truce.holds() { next.max(TRUCE_LOOK) } else { next });
        }
        Ok(())
    }

    /// Takes over expired leases, and settles their attempts as lost.
    async fn reap(&self, verdicts: &Verdicts, truce: &mut Truce) -> Result<(), BrokerError> {
        // Our own first: after an outage, or a laptop's sleep, they may have expired while their attempts go on. Where that
        // fails the queue is left alone.
        let mut failed = heartbeat::extend(&self.broker, &self.in_flight, self.settings.lease).await;
        let mut queues = self.queues.clone();
        queues.retain(|queue| failed.iter().all(|(failed, _)| failed != queue));
        if queues.is_empty()
            && let Some((_, error)) = failed.pop()
        {
            return Err(error);
        }
        let asked = Moment::now();
        if !truce.is_over(asked) {
            return Ok(());
        }
        let reaped = self.broker.reap(&self.request(queues, MOST_REAPED)).await?;
        if !reaped.is_empty() {
            steps::reached("reaped");
        }
        for lease in reaped {
            tracing::warn!(
                job = %lease.job.id, task = lease.job.task,
                worker = lease.previous_worker.as_ref().map(|vanished| vanished.worker.as_str()),
                "attempt lost: its lease expired"
            );
            self.in_flight.add(lease.reference(), Cancel::new(), None, Until::new(asked, self.settings.lease));
            // The settler only goes away after this loop.
            verdicts.on(Ended::lost(lease, &self.shop));
        }
        verdicts.flush();
        Ok(())
    }

    /// Waits until there may be something to do: room, jobs, or the agenda.
    async fn wait(&self, at_most: Duration) {
        let announced = async {
            if self.in_flight.room() == 0 {
                std::future::pending::<()>().await;
            }
            if self.broker.wait(&self.queues, at_most).await == Waited::Due {
                self.agenda.at_latest(Duration::ZERO);
            }
        };
        tokio::select! {
            () = announced => {}
            () = tokio::time::sleep(at_most) => {}
            () = self.in_flight.changed() => {}
            () = self.agenda.changed() => {}
        }
    }

    async fn nothing_left(&self) -> Result<bool, BrokerError> {
        let queues = self.broker.queues().await?;
        let mine = queues.iter().filter(|counts| self.queues.contains(&counts.queue));
        Ok(mine.map(|counts| counts.scheduled + counts.queued + counts.running).sum::<u64>() == 0)
    }

    /// Lets attempts finish up to the time-out, then interrupts them; what never started goes back at once.
    async fn wind_down(&self, slots: &Slots) {
        slots.drain();
        steps::reached("drained");
        let running = self.in_flight.len();
        if running > 0 {
            let timeout = humantime::format_duration(self.settings.shutdown_timeout);
            tracing::info!("waiting up to {timeout} for {running} attempts");
        }
        if tokio::time::timeout(self.settings.shutdown_timeout, self.in_flight.emptied()).await.is_err() {
            let left = self.in_flight.cancel_all(Reason::Shutdown);
            steps::reached("interrupted");
            tracing::warn!("interrupted {left} attempts: their jobs go back without losing an attempt");
            let _ = tokio::time::timeout(LAST_GRACE, self.in_flight.emptied()).await;
        }
    }

    fn request(&self, queues: Vec<String>, max: usize) -> LeaseRequest {
        LeaseRequest {
            queues,
            max,
            begin: self.in_flight.idle_slots(),
            max_bytes: LEASE_BYTES,
            worker: self.shop.worker.clone(),
            duration: self.settings.lease,
        }
    }
}

/// What a round leads to.
enum Next {
    Again,
    /// The broker was `asked` something in it, and answered.
    Wait {
        at_most: Duration,
        asked: bool,
    },
    Finished,
}

/// A name for this start of this process: host, process id, and a part no other start has.
pub fn unique_name() -> String {
    format!(
        "{}-{}-{}",
        machine::hostname(),
        std::process::id(),
        afresh_queue::JobId::fresh().as_str()[10..].to_lowercase()
    )
}

/// Whether an outcome is worth a line that an operator sees by default.
fn is_news(outcome: OutcomeKind) -> bool {
    !matches!(outcome, OutcomeKind::Succeeded | OutcomeKind::Snoozed)
}
