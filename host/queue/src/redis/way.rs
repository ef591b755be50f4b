//! The ways to a Redis: one server, the primary that sentinels name, or a cluster. Each makes a [`Connection`] when it is
//! asked; when and how often is [`super::link`]'s business.

use std::io;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, SendError};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, Pipeline, ProtocolVersion,
    PushInfo, RedisError, RedisFuture, RedisResult, TlsMode, Value, from_redis_value,
};
use tokio::sync::Mutex;

use super::address::{Address, at_once};
use super::keys::CHANNELS;
use crate::job::PAYLOAD_CEILING;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a node of a cluster may take for that: the others know who has its slots by now.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it may take to ask sentinels and nodes for those that are to be connected to.
const FIND_TIMEOUT: Duration = Duration::from_secs(15);

/// How Redis is reached.
pub(super) enum Way {
    Server(Box<Client>),
    /// Sentinels are asked without a login first, then with the one of the servers, if there is one.
    Sentinels(Box<Mutex<(SentinelClient, Option<SentinelClient>)>>),
    Cluster(Vec<ConnectionInfo>),
}

/// A connection that can be shared by all callers.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Way {
    /// The way to this address; nothing is connected yet.
    pub(super) fn new(address: Address) -> RedisResult<Self> {
        Ok(match address {
            Address::Server(server) => Self::Server(Box::new(Client::open(*server)?)),
            Address::Sentinels(nodes, primary) => {
                let has_login = nodes.iter().any(|node| node.redis_settings().password().is_some());
                let with_login = has_login.then(|| asking(&nodes, &primary, true)).transpose()?;
                Self::Sentinels(Box::new(Mutex::new((asking(&nodes, &primary, false)?, with_login))))
            }
            Address::Cluster(nodes) => Self::Cluster(nodes),
        })
    }

    /// Whether queues may be on different servers, so that one cannot be served while the others are.
    pub(super) fn parts_queues(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Connects; what the server says without being asked is handed to `hear`.
    pub(super) async fn connect(&self, hear: impl Fn(&PushInfo) + Send + Sync + 'static) -> RedisResult<Connection> {
        let sender = move |push: PushInfo| {
            hear(&push);
            Ok::<(), SendError>(())
        };
        // Who asks says how long an answer may take.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT)).set_response_timeout(None);
        let made = async {
            Ok(match self {
                Self::Server(client) => {
                    let config = config.set_push_sender(sender);
                    Connection::Server(client.get_multiplexed_async_connection_with_config(&config).await?)
                }
                Self::Sentinels(clients) => {
                    let (open, with_login) = &mut *clients.lock().await;
                    // The error is the last sentinel's: that one is down says nothing of what the others want.
                    let client = match (open.async_get_client().await, with_login) {
                        (Err(error), Some(with_login)) => with_login.async_get_client().await.map_err(|_| error)?,
                        (answer, _) => answer?,
                    };
                    let config = config.set_push_sender(sender);
                    Connection::Server(client.get_multiplexed_async_connection_with_config(&config).await?)
                }
                Self::Cluster(nodes) => {
                    let client = ClusterClient::builder(nodes.iter().cloned())
                        .use_protocol(ProtocolVersion::RESP3)
                        .tcp_settings(at_once())
                        .connection_timeout(NODE_TIMEOUT)
                        // A bound for what the client asks by itself; calls have their own.
                        .response_timeout(Duration::from_secs(PAYLOAD_CEILING as u64 >> 20))
                        .overall_response_timeout(None)
                        // It would follow ASK to where a slot is moving to. A script there would find some of its queue's
                        // keys and make the others anew. No queue's own key exists, so its old node answers ASK until the
                        // last key has moved: until then nothing is done, and callers try again.
                        .retries(0)
                        .push_sender(sender)
                        .build()?;
                    match client.get_async_connection().await {
                        Ok(connection) => Connection::Cluster(connection),
                        Err(error) if error.is_io_error() => {
                            return Err(why_none(nodes, &config).await.unwrap_or(error));
                        }
                        Err(error) => return Err(error),
                    }
                }
            })
        };
        tokio::time::timeout(FIND_TIMEOUT, made)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }
}

/// A client that asks these sentinels for the primary, with or without the login that the servers want.
fn asking(sentinels: &[ConnectionInfo], primary: &str, with_login: bool) -> RedisResult<SentinelClient> {
    let addresses = sentinels.iter().map(|sentinel| sentinel.addr().clone());
    let mut builder = SentinelClientBuilder::new(addresses, primary, SentinelServerType::Master)?
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_tcp_settings(at_once());
    if let Some(sentinel) = sentinels.first() {
        let login = sentinel.redis_settings();
        builder = builder.set_client_to_redis_db(login.db());
        if matches!(sentinel.addr(), ConnectionAddr::TcpTls { .. }) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        if let Some(name) = login.username() {
            builder = builder.set_client_to_redis_username(name);
            builder = if with_login { builder.set_client_to_sentinel_username(name) } else { builder };
        }
        if let Some(password) = login.password() {
            builder = builder.set_client_to_redis_password(password);
            builder = if with_login { builder.set_client_to_sentinel_password(password) } else { builder };
        }
    }
    builder.build()
}

/// Why no node of a cluster would have us. Its client only says that none would; a node that is asked by itself says
/// more, such as that the password is wrong.
async fn why_none(nodes: &[ConnectionInfo], config: &AsyncConnectionConfig) -> Option<RedisError> {
    let mut why = None;
    for node in nodes {
        let asked = async { Client::open(node.clone())?.get_multiplexed_async_connection_with_config(config).await };
        match asked.await {
            Err(error) if error.is_io_error() => why = Some(error),
            Err(error) => return Some(error),
            Ok(_) => {}
        }
    }
    why
}

impl Connection {
    /// Asks to hear the messages of all queues. In a cluster any node hears what is published on another.
    pub(super) async fn listen(&mut self) -> RedisResult<()> {
        match self {
            Self::Server(server) => server.psubscribe(CHANNELS.as_slice()).await,
            Self::Cluster(cluster) => cluster.psubscribe(CHANNELS.as_slice()).await,
        }
    }

    /// Asks every primary; answers what each said, in a cluster with its address.
    pub(super) async fn each<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<Vec<(Option<String>, T)>> {
        match self {
            Self::Server(server) => Ok(vec![(None, command.query_async(server).await?)]),
            Self::Cluster(cluster) => {
                let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let Value::Map(answers) = cluster.route_command(command.clone(), primaries).await? else {
                    return Ok(Vec::new());
                };
                let read = |(node, answer): (Value, Value)| {
                    Ok((Some(from_redis_value(node)?), from_redis_value(answer.extract_error()?)?))
                };
                answers.into_iter().map(read).collect()
            }
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(commands, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}
