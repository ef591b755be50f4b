//! The connection to Redis: made when it is first needed, made again for ever when it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use redis::{
    Arg, Cmd, ErrorKind, FromRedisValue, Pipeline, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::errors::broker_error;
use super::keys::{Channel, channel};
use super::load::Load;
use super::news::{News, What};
use super::requests::Requests;
use super::rights;
use super::scripts::Call;
use super::way::{Connection, Way};
use crate::broker::BrokerError;

/// The pause before another try to connect: a random part of what doubles with every failure, from the first to the
/// second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// One connection for commands and wake-ups, shared by all callers. No error is final: the next call connects again.
pub(super) struct Link {
    way: Way,
    place: String,
    news: Arc<News>,
    requests: Arc<Requests>,
    state: Mutex<State>,
    /// How often connecting was tried. Callers that waited for somebody else's failed try share its error, instead of
    /// each trying in turn.
    tries: AtomicU64,
    load: Load,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// Whether the connection still stands, as far as its reader knows.
    alive: Arc<AtomicBool>,
    /// Counts connections, so that an error of an old one does not drop its successor.
    epoch: u64,
    listening: bool,
    failures: u32,
    last_error: Option<RedisError>,
    not_before: Option<Instant>,
}

impl Link {
    /// A link to the Redis that `way` leads to; connects at the first call.
    pub(super) fn new(way: Way, place: String, news: Arc<News>, requests: Arc<Requests>) -> Self {
        let (state, tries, load) = (Mutex::default(), AtomicU64::new(0), Load::default());
        Self { way, place, news, requests, state, tries, load }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether other queues may be served, though one was answered with this.
    pub(super) fn is_of_one_queue(&self, error: &BrokerError) -> bool {
        self.way.parts_queues() && error.is_transient()
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BrokerError> {
        self.fetch(command, 0).await
    }

    /// As [`Link::query`], where the answer may well be so many bytes.
    pub(super) async fn fetch<T: FromRedisValue>(&self, command: &Cmd, bytes: usize) -> Result<T, BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        self.ask(epoch, bytes_of(command), bytes, command.query_async(&mut connection)).await
    }

    /// The commands are of one queue.
    pub(super) async fn pipeline<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        let bytes = commands.cmd_iter().map(bytes_of).sum();
        self.ask(epoch, bytes, 0, commands.query_async(&mut connection)).await
    }

    /// Runs a script.
    pub(super) async fn invoke<T: FromRedisValue>(&self, call: &Call) -> Result<T, BrokerError> {
        match self.invoke_once(call).await {
            Err(BrokerError::Unusable(text)) if rights::is_refusal(&text) => {
                self.check_rights(&call.commands()).await?;
                Err(BrokerError::Unusable(text))
            }
            answer => answer,
        }
    }

    /// Runs a script, and sends it whole where the server does not know it (any more).
    pub(super) async fn invoke_once<T: FromRedisValue>(&self, call: &Call) -> Result<T, BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        let (command, answered) = (call.by_digest(), call.answer_bytes());
        let answer = self.carry(epoch, bytes_of(command), answered, command.query_async(&mut connection)).await?;
        match answer {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                // All of it goes a second time, and has the time for that.
                let command = call.whole();
                self.ask(epoch, bytes_of(&command), answered, command.query_async(&mut connection)).await
            }
            answer => self.judge(epoch, answer).await,
        }
    }

    /// Asks every primary; answers what each said, in a cluster with its address.
    pub(super) async fn each<T: FromRedisValue>(&self, command: &Cmd) -> Result<Vec<(Option<String>, T)>, BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        self.ask(epoch, bytes_of(command), 0, connection.each(command)).await
    }

    /// Sees to it that messages are heard. Where they were not until now, there is news of every queue.
    pub(super) async fn listen(&self) -> Result<(), BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        if self.state.lock().await.listening {
            return Ok(());
        }
        self.ask(epoch, 0, 0, connection.listen()).await?;
        let mut state = self.state.lock().await;
        if state.epoch == epoch {
            state.listening = true;
        }
        self.news.of_all();
        self.requests.miss();
        Ok(())
    }

    async fn connection(&self) -> Result<(u64, Connection), BrokerError> {
        let tries = self.tries.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection
            && state.alive.load(Ordering::SeqCst)
        {
            return Ok((state.epoch, connection.clone()));
        }
        if let Some(error) = &state.last_error
            && tries != self.tries.load(Ordering::SeqCst)
        {
            return Err(broker_error(error, &self.place));
        }
        if let Some(at) = state.not_before {
            tokio::time::sleep_until(at).await;
        }
        let made = self.connect().await;
        self.tries.fetch_add(1, Ordering::SeqCst);
        match made {
            Ok((connection, alive)) => {
                let epoch = state.epoch + 1;
                *state = State { connection: Some(connection.clone()), alive, epoch, ..State::default() };
                drop(state);
                self.news.of_all();
                Ok((epoch, connection))
            }
            Err(error) => {
                state.not_before = Some(Instant::now() + pause(state.failures));
                state.failures = state.failures.saturating_add(1);
                let ours = broker_error(&error, &self.place);
                state.last_error = Some(error);
                Err(ours)
            }
        }
    }

    async fn connect(&self) -> RedisResult<(Connection, Arc<AtomicBool>)> {
        let (news, requests) = (self.news.clone(), self.requests.clone());
        let alive = Arc::new(AtomicBool::new(true));
        let reader = alive.clone();
        let connection = self.way.connect(move |push| hear(&news, &requests, &reader, push)).await?;
        Ok((connection, alive))
    }

    /// Waits for an answer to what is carried on the connection of this epoch, as long as that may take.
    async fn ask<T>(
        &self,
        epoch: u64,
        sent: usize,
        answered: usize,
        call: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, BrokerError> {
        let answer = self.carry(epoch, sent, answered, call).await?;
        self.judge(epoch, answer).await
    }

    /// As [`Link::ask`]; what the server answered is not judged yet.
    async fn carry<T>(
        &self,
        epoch: u64,
        sent: usize,
        answered: usize,
        call: impl Future<Output = RedisResult<T>>,
    ) -> Result<RedisResult<T>, BrokerError> {
        let carried = self.load.carry(sent, answered);
        let began = Instant::now();
        if let Ok(answer) = tokio::time::timeout(carried.limit(), call).await {
            carried.came_after(began.elapsed());
            return Ok(answer);
        }
        carried.was_late();
        // It may be gone without a word.
        self.leave(epoch).await;
        let seconds = carried.limit().as_secs();
        Err(BrokerError::Unavailable(format!("{} did not answer within {seconds} s", self.place)))
    }

    /// Turns an error into ours, and leaves the connection where a new one is what helps: when it broke, and when it turned
    /// out to be a replica's (after a failover the same name may lead to the primary). A node that is gone leaves a
    /// cluster's others: its client finds out who has the slots now.
    async fn judge<T>(&self, epoch: u64, result: RedisResult<T>) -> Result<T, BrokerError> {
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let demoted = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        let gone = self.way.parts_queues() && error.is_connection_refusal();
        if (error.is_io_error() || error.is_unrecoverable_error() || demoted) && !gone {
            self.leave(epoch).await;
        }
        Err(broker_error(&error, &self.place))
    }

    /// Who calls next makes a new connection. Its reader says nothing where it was left, so those who listen are told here
    /// that they hear nothing any more.
    async fn leave(&self, epoch: u64) {
        let mut state = self.state.lock().await;
        if state.epoch == epoch && state.connection.take().is_some() {
            state.listening = false;
            self.news.of_all();
            self.requests.miss();
        }
    }
}

fn bytes_of(command: &Cmd) -> usize {
    let bytes = |arg| if let Arg::Simple(bytes) = arg { <[u8]>::len(bytes) } else { 0 };
    command.args_iter().map(bytes).sum()
}

/// What the server says without being asked. A broken connection is news of every queue: nobody knows what was missed,
/// and whoever calls or waits next makes a new one.
fn hear(news: &News, requests: &Requests, alive: &AtomicBool, push: &PushInfo) {
    match (&push.kind, push.data.as_slice()) {
        (PushKind::PMessage, [_, Value::BulkString(name), Value::BulkString(message)]) => match channel(name) {
            Some((Channel::Wake, queue)) => news.of(queue, if message == b"due" { What::Due } else { What::Ready }),
            Some((Channel::Cancel, queue)) => requests.hear(queue, message),
            None => {}
        },
        (PushKind::Disconnection, _) => {
            alive.store(false, Ordering::SeqCst);
            news.of_all();
            requests.miss();
        }
        _ => {}
    }
}

fn pause(failures: u32) -> Duration {
    let longest = BACKOFF.0.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(BACKOFF.1);
    longest.mul_f64(rand::rng().random::<f64>())
}
