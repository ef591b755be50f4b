//! Tells the broker of some attempts before they run, all of a queue that wait in one call. Of last ones: then a job is dead
//! as lost only of an attempt that had begun, and no guest runs once more than its job may. And of those whose job was lost
//! before: then it is known which job takes workers down. Other attempts cost no call.

use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Beat, Broker, BrokerError, Extended, Lease, LeaseRef, steps};
use afresh_sandbox::{Cancel, Reason};
use tokio::sync::{mpsc, oneshot};

use super::backoff::Backoff;
use super::in_flight::InFlight;
use super::lanes;
use super::until::{Moment, Until};

/// The most attempts in one call.
const BATCH: usize = 128;

/// Tells the broker that attempts begin.
pub struct Begins {
    broker: Arc<dyn Broker>,
    lease: Duration,
    asked: mpsc::UnboundedReceiver<Ask>,
}

/// A slot's way to begin an attempt.
#[derive(Clone)]
pub struct Begin {
    in_flight: Arc<InFlight>,
    asks: mpsc::UnboundedSender<Ask>,
}

/// A slot that waits.
struct Ask {
    lease: LeaseRef,
    cancel: Cancel,
    until: Until,
    may_run: oneshot::Sender<Result<(), Reason>>,
}

impl Begin {
    /// The attempt's guest is about to run. Blocks this thread until the broker knows, if it is to be `told_first`.
    ///
    /// # Errors
    /// Why it must not run.
    pub fn attempt(&self, lease: &Lease, told_first: bool, cancel: &Cancel, until: &Until) -> Result<(), Reason> {
        let reference = lease.reference();
        if told_first {
            let (may_run, answer) = oneshot::channel();
            let ask = Ask { lease: reference.clone(), cancel: cancel.clone(), until: until.clone(), may_run };
            // Nobody to ask, or to answer, means that the worker ends.
            let _ = self.asks.send(ask);
            answer.blocking_recv().unwrap_or(Err(Reason::Shutdown))?;
        }
        self.in_flight.begin(&reference);
        steps::reached("begun");
        Ok(())
    }
}

impl Begins {
    /// An agent for leases of this duration, and the way to it.
    pub fn new(broker: Arc<dyn Broker>, in_flight: Arc<InFlight>, lease: Duration) -> (Self, Begin) {
        let (asks, asked) = mpsc::unbounded_channel();
        (Self { broker, lease, asked }, Begin { in_flight, asks })
    }

    /// Tells of what slots ask until it is dropped.
    pub async fn run(self) {
        let Self { broker, lease, asked } = self;
        let lane = |asked| Self { broker: broker.clone(), lease, asked }.run_one();
        lanes::by_queue(asked, |ask: &Ask| &ask.lease.queue, lane).await;
    }

    /// The same for one queue.
    async fn run_one(mut self) {
        let (mut trouble, mut waiting) = (Backoff::at_most(self.lease / 10), Vec::new());
        while !waiting.is_empty() || self.asked.recv_many(&mut waiting, BATCH).await > 0 {
            match self.tick(&mut waiting).await {
                Ok(()) => trouble.over("attempts begin again"),
                Err(error) => {
                    let pause = trouble.pause("failed to tell of attempts before they run", &error);
                    tokio::time::sleep(pause).await;
                    waiting.extend(std::iter::from_fn(|| self.asked.try_recv().ok()));
                    let_go(&mut waiting);
                }
            }
        }
    }

    /// One call for all that wait.
    async fn tick(&self, waiting: &mut Vec<Ask>) -> Result<(), BrokerError> {
        let beats: Vec<_> = waiting.iter().map(|ask| Beat { lease: ask.lease.clone(), begun: true }).collect();
        let asked = Moment::now();
        let extended = self.broker.extend(&beats, self.lease).await?;
        steps::reached("told");
        for (ask, extended) in waiting.drain(..).zip(extended) {
            if extended != Extended::Lost {
                ask.until.extend(asked, self.lease);
            }
            ask.answer(match extended {
                Extended::Held => Ok(()),
                Extended::Cancelling => Err(Reason::Cancelled),
                Extended::Lost => Err(Reason::LeaseLost),
            });
        }
        Ok(())
    }
}

/// Those that have been cancelled, or whose leases have ended, wait no more.
fn let_go(waiting: &mut Vec<Ask>) {
    for ask in std::mem::take(waiting) {
        let ended = ask.until.is_over().then_some(Reason::LeaseLost);
        match ask.cancel.reason().or(ended) {
            Some(reason) => ask.answer(Err(reason)),
            None => waiting.push(ask),
        }
    }
}

impl Ask {
    fn answer(self, may_run: Result<(), Reason>) {
        // A slot waits for nothing else.
        let _ = self.may_run.send(may_run);
    }
}

#[cfg(test)]
mod tests {
    use afresh_queue::{Begun, Clock, LeaseRequest, NewJob, open};

    use super::*;

    const LEASE: Duration = Duration::from_millis(500);

    fn request(queue: &str, begin: usize) -> LeaseRequest {
        let (worker, max_bytes) = ("w".to_owned(), usize::MAX);
        LeaseRequest { queues: vec![queue.to_owned()], max: 1, begin, max_bytes, worker, duration: LEASE }
    }

    /// A broker with one job leased, which counts as begun or not.
    async fn leased(clock: &Clock, begin: usize) -> (Arc<dyn Broker>, Lease) {
        let broker = open(&afresh_queue::BrokerUrl::memory(), clock.clone()).await.unwrap();
        broker.enqueue(vec![NewJob::new("t", "")]).await.unwrap();
        let lease = broker.lease(&request("default", begin)).await.unwrap().remove(0);
        (broker, lease)
    }

    fn agent(broker: &Arc<dyn Broker>) -> (Begins, Begin) {
        Begins::new(broker.clone(), Arc::new(InFlight::new(1)), LEASE)
    }

    /// What a slot is told that is about to run this attempt.
    async fn told(begin: &Begin, lease: &Lease, told_first: bool, cancel: &Cancel) -> Result<(), Reason> {
        let (begin, lease, cancel) = (begin.clone(), lease.clone(), cancel.clone());
        let until = Until::new(Moment::now(), LEASE);
        tokio::task::spawn_blocking(move || begin.attempt(&lease, told_first, &cancel, &until)).await.unwrap()
    }

    #[tokio::test]
    async fn an_attempt_that_is_told_first_runs_once_the_broker_knows_and_no_other_asks() {
        let clock = Clock::manual(afresh_queue::Timestamp(0));
        let (broker, lease) = leased(&clock, 0).await;
        let (agent, begin) = agent(&broker);
        assert_eq!(told(&begin, &lease, false, &Cancel::new()).await, Ok(()), "nobody answers yet");
        let agent = tokio::spawn(agent.run());
        assert_eq!(told(&begin, &lease, true, &Cancel::new()).await, Ok(()));
        agent.abort();
        let _ = agent.await;
        assert_eq!(told(&begin, &lease, true, &Cancel::new()).await, Err(Reason::Shutdown));
        clock.advance(LEASE);
        let taken = broker.reap(&request("default", 0)).await.unwrap().remove(0);
        assert_eq!(taken.previous_worker.unwrap().begun, Begun::Known);
    }

    #[tokio::test]
    async fn an_attempt_whose_lease_is_lost_or_whose_job_is_cancelled_does_not_run() {
        let clock = Clock::manual(afresh_queue::Timestamp(0));
        let (broker, lease) = leased(&clock, 0).await;
        let (agent, begin) = agent(&broker);
        let _agent = tokio::spawn(agent.run());
        clock.advance(LEASE);
        let taken = broker.reap(&request("default", 0)).await.unwrap().remove(0);
        assert_eq!(told(&begin, &lease, true, &Cancel::new()).await, Err(Reason::LeaseLost));
        broker.cancel(&[lease.job.id]).await.unwrap();
        assert_eq!(told(&begin, &taken, true, &Cancel::new()).await, Err(Reason::Cancelled));
    }

    #[tokio::test]
    async fn a_broker_that_cannot_be_reached_is_tried_until_the_lease_has_ended_or_the_attempt_is_cancelled() {
        let (_, lease) = leased(&Clock::Broker, 0).await;
        // Nobody listens there.
        let broker = open(&"redis://127.0.0.1:1".parse().unwrap(), Clock::Broker).await.unwrap();
        let (agent, begin) = agent(&broker);
        let _agent = tokio::spawn(agent.run());
        let asked = Moment::now();
        assert_eq!(told(&begin, &lease, true, &Cancel::new()).await, Err(Reason::LeaseLost));
        assert!(Moment::now().since(asked) >= LEASE);
        let cancel = Cancel::new();
        cancel.cancel(Reason::Shutdown);
        assert_eq!(told(&begin, &lease, true, &cancel).await, Err(Reason::Shutdown));
    }
}
