//! What Redis and the connection to it can say, as one sentence for the person who has to mend it.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use super::link::RESPONSE_TIMEOUT;
use crate::broker::BrokerError;

/// The error as ours. `place` is where the server is, without credentials.
pub(super) fn broker_error(error: &RedisError, place: &str) -> BrokerError {
    let text = error.detail().map_or_else(|| error.to_string(), str::to_owned);
    match error.kind() {
        ErrorKind::AuthenticationFailed => return login(place, &text),
        ErrorKind::RESP3NotSupported => return BrokerError::Unusable(too_old(place, "6 or older")),
        ErrorKind::InvalidClientConfig => return BrokerError::Unusable(format!("{place} cannot be used: {text}")),
        // The client knows no other word for an answer whose rest never comes: the connection broke in the middle of it.
        ErrorKind::Parse if error.to_string().contains("end of input") => {
            return BrokerError::Unavailable(format!("{place} broke off in the middle of an answer"));
        }
        ErrorKind::Parse => return BrokerError::Unusable(format!("what answers at {place} is not Redis")),
        ErrorKind::UnexpectedReturnType => {
            return BrokerError::Unusable(format!("{place} answered with something unexpected: {text}"));
        }
        ErrorKind::Io if error.is_timeout() => {
            let seconds = RESPONSE_TIMEOUT.as_secs();
            return BrokerError::Unavailable(format!("{place} did not answer within {seconds} s"));
        }
        // So rustls says that it will not go on.
        ErrorKind::Io if error.source().is_some_and(is_invalid_data) => {
            return BrokerError::Unusable(format!(
                "{place} cannot be spoken to over TLS ({error}): trust its authority in the system's store or by \
                 SSL_CERT_FILE, or write redis:// if it speaks without TLS"
            ));
        }
        ErrorKind::Io => return BrokerError::Unavailable(format!("{place} cannot be reached: {error}")),
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
        "MOVED" | "ASK" | "CROSSSLOT" => BrokerError::Unusable(format!(
            "{place} belongs to a Redis Cluster, which is not supported yet: use a single server"
        )),
        "WRONGTYPE" => BrokerError::Unusable(format!(
            "a key of ours in {place} holds something else: give Afresh a database of its own"
        )),
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

fn login(place: &str, text: &str) -> BrokerError {
    BrokerError::Unusable(format!(
        "{place} refuses the login: check user, password and permissions in the broker's URL ({text})"
    ))
}
