//! What Redis and the connection to it can say, as one sentence for the person who has to mend it.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use super::rights::is_refusal;
use crate::broker::BrokerError;

/// The error as ours. `place` is where the server is, without credentials.
pub(super) fn broker_error(error: &RedisError, place: &str) -> BrokerError {
    let text = error.detail().map_or_else(|| error.to_string(), str::to_owned);
    let in_cluster = is_cluster(place);
    match error.kind() {
        ErrorKind::AuthenticationFailed => return login(place, &text),
        ErrorKind::RESP3NotSupported => return BrokerError::Unusable(too_old(place, "6 or older")),
        ErrorKind::InvalidClientConfig if error.to_string().contains("sentinel") => {
            return BrokerError::Unusable(format!(
                "what answers at {place} is no sentinel: name the sentinels, or write redis:// for a server"
            ));
        }
        ErrorKind::InvalidClientConfig => return BrokerError::Unusable(format!("{place} cannot be used: {text}")),
        // The client knows no other word for an answer whose rest never comes: the connection broke in the middle of it.
        ErrorKind::Parse if error.to_string().contains("end of input") => {
            return BrokerError::Unavailable(format!("{place} broke off in the middle of an answer"));
        }
        ErrorKind::Parse => return BrokerError::Unusable(format!("what answers at {place} is not Redis")),
        ErrorKind::UnexpectedReturnType => {
            return BrokerError::Unusable(format!("{place} answered with something unexpected: {text}"));
        }
        ErrorKind::MasterNameNotFoundBySentinel => {
            return BrokerError::Unavailable(format!(
                "the sentinels of {place} know of no primary by that name that is up: check the name, or wait for the \
                 failover to end"
            ));
        }
        ErrorKind::ClusterConnectionNotFound => {
            return BrokerError::Unavailable(format!("no node of {place} can be reached that has what was asked for"));
        }
        ErrorKind::Io if error.is_timeout() => {
            return BrokerError::Unavailable(format!("{place} could not be connected to in time"));
        }
        // So rustls says that it will not go on.
        ErrorKind::Io if error.source().is_some_and(is_invalid_data) => {
            return BrokerError::Unusable(format!(
                "{place} cannot be spoken to over TLS ({error}): trust its authority in the system's store or by \
                 SSL_CERT_FILE, or write redis:// if it speaks without TLS"
            ));
        }
        ErrorKind::Io => return BrokerError::Unavailable(format!("{place} cannot be reached: {text}")),
        _ => {}
    }
    match error.code().unwrap_or_default() {
        "INVALID" => BrokerError::Invalid(text),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => login(place, &text),
        "LOADING" => BrokerError::Unavailable(format!("{place} is still loading its data")),
        "BUSY" | "TRYAGAIN" => BrokerError::Unavailable(format!("{place} is busy: {text}")),
        "MASTERDOWN" => BrokerError::Unavailable(format!("{place} is a replica that has lost its primary")),
        "READONLY" => BrokerError::Refused(format!(
            "{place} is a read-only replica: point the broker's URL at the primary, or wait for the failover to end"
        )),
        "OOM" => BrokerError::Refused(format!(
            "{place} has reached its memory limit and takes no more jobs: let workers drain it, or raise `maxmemory`"
        )),
        "MISCONF" => BrokerError::Refused(format!(
            "{place} cannot write its data to disk and takes no writes: look at its log and its disk"
        )),
        "NOREPLICAS" => BrokerError::Refused(format!(
            "{place} has fewer replicas than `min-replicas-to-write` demands: start them, or lower it"
        )),
        "CLUSTERDOWN" => BrokerError::Refused(format!("the cluster of {place} is down: {text}")),
        "MOVED" | "ASK" if in_cluster => {
            BrokerError::Unavailable(format!("{place} is moving what was asked for to another node"))
        }
        "MOVED" | "ASK" | "CROSSSLOT" => BrokerError::Unusable(cluster_node(place)),
        "WRONGTYPE" => BrokerError::Unusable(format!(
            "a key of ours in {place} holds something else: give Afresh a database of its own"
        )),
        _ if is_refusal(&text) => login(place, &text),
        _ if text.contains("cluster support disabled") => {
            BrokerError::Unusable(format!("{place} is no Redis Cluster: write redis:// for a server that stands alone"))
        }
        _ if text.contains("max number of clients") => {
            BrokerError::Unavailable(format!("{place} has too many clients: raise `maxclients`, or run fewer programs"))
        }
        _ => BrokerError::Refused(format!("{place} refused a command: {error}")),
    }
}

fn is_invalid_data(source: &(dyn Error + 'static)) -> bool {
    // The client hands its sources out as they lie in it, in an `Arc`.
    let shared = source.downcast_ref::<Arc<dyn Error + Send + Sync>>();
    let error = shared.and_then(|shared| shared.downcast_ref::<io::Error>());
    error.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

/// What is said of a server that is too old to serve.
pub(super) fn too_old(place: &str, version: &str) -> String {
    format!("{place} is Redis {version}: Afresh needs Redis 7.0 or newer, or Valkey")
}

/// Whether the URL says that this is a cluster.
pub(super) fn is_cluster(place: &str) -> bool {
    place.split("://").next().is_some_and(|scheme| scheme.ends_with("+cluster"))
}

/// What is said of a cluster's node where the URL says that it stands alone.
pub(super) fn cluster_node(place: &str) -> String {
    format!("{place} is a node of a Redis Cluster: write redis+cluster://HOST:PORT,HOST:PORT")
}

/// What is said of a user who lacks these rights.
pub(super) fn lacks(place: &str, rights: &[String]) -> BrokerError {
    let rights = rights.join(" ");
    BrokerError::Unusable(format!(
        "the user that {place} is used as lacks rights: `ACL SETUSER NAME {rights}` gives them (docs/redis.md has all)"
    ))
}

fn login(place: &str, text: &str) -> BrokerError {
    BrokerError::Unusable(format!(
        "{place} refuses the login: check user, password and permissions in the broker's URL ({text})"
    ))
}
