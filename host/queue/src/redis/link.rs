//! The connection to Redis: made when it is first needed, made again for ever when it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion,
    PushInfo, PushKind, RedisError, RedisResult, ScriptInvocation, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::errors::broker_error;
use super::keys::{CHANNELS, Channel, channel};
use super::news::{News, What};
use super::requests::Requests;
use crate::broker::BrokerError;

/// How long a server may take to answer. Longer than a hiccup of its disk, shorter than a lease. A call that ran into
/// it may have been carried out nonetheless: every verb is safe to repeat.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before another try to connect: a random part of what doubles with every failure, from the first to the
/// second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// One connection for commands and wake-ups, shared by all callers. No error is final: the next call connects again.
pub(super) struct Link {
    client: Client,
    place: String,
    news: Arc<News>,
    requests: Arc<Requests>,
    state: Mutex<State>,
    /// How often connecting was tried. Callers that waited for somebody else's failed try share its error, instead of
    /// each trying in turn.
    tries: AtomicU64,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
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
    /// A link to the server at `url`; connects at the first call.
    pub(super) fn new(url: &str, place: String, news: Arc<News>, requests: Arc<Requests>) -> Result<Self, RedisError> {
        let info = url.into_connection_info()?;
        // RESP3 carries wake-ups on the connection of the commands.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        // Else a call beside another, such as a heartbeat beside a lease, waits 40 ms for an acknowledgement of TCP's.
        let at_once = TcpSettings::default().set_nodelay(true);
        let client = Client::open(info.set_redis_settings(settings).set_tcp_settings(at_once))?;
        Ok(Self { client, place, news, requests, state: Mutex::default(), tries: AtomicU64::new(0) })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        self.judge(epoch, command.query_async(&mut connection).await).await
    }

    pub(super) async fn pipeline<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        self.judge(epoch, commands.query_async(&mut connection).await).await
    }

    /// Runs a script, and loads it first where the server does not know it (any more).
    pub(super) async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        self.judge(epoch, script.invoke_async(&mut connection).await).await
    }

    /// Sees to it that messages are heard. Where they were not until now, there is news of every queue.
    pub(super) async fn listen(&self) -> Result<(), BrokerError> {
        let (epoch, mut connection) = self.connection().await?;
        if self.state.lock().await.listening {
            return Ok(());
        }
        let subscribed = connection.psubscribe(CHANNELS.as_slice()).await;
        self.judge(epoch, subscribed).await?;
        let mut state = self.state.lock().await;
        if state.epoch == epoch {
            state.listening = true;
        }
        self.news.of_all();
        self.requests.miss();
        Ok(())
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), BrokerError> {
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

    async fn connect(&self) -> RedisResult<(MultiplexedConnection, Arc<AtomicBool>)> {
        let (news, requests) = (self.news.clone(), self.requests.clone());
        let alive = Arc::new(AtomicBool::new(true));
        let reader = alive.clone();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_push_sender(move |push: PushInfo| {
                hear(&news, &requests, &reader, &push);
                Ok::<(), redis::aio::SendError>(())
            });
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok((connection, alive))
    }

    /// Turns an error into ours, and drops the connection where a new one is what helps: when it broke, when the server
    /// was too slow (it may be gone without a word), and when it turned out to be a replica (after a failover the same
    /// name may lead to the primary).
    async fn judge<T>(&self, epoch: u64, result: RedisResult<T>) -> Result<T, BrokerError> {
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let demoted = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if error.is_io_error() || error.is_unrecoverable_error() || demoted {
            let mut state = self.state.lock().await;
            if state.epoch == epoch {
                state.connection = None;
                state.listening = false;
            }
        }
        Err(broker_error(&error, &self.place))
    }
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
