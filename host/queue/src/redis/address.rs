//! Where Redis is, as a URL says it: one server, servers that sentinels watch, or a cluster.

use std::str::FromStr;

use redis::io::tcp::TcpSettings;
use redis::{ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisResult};

use crate::url::without_credentials;

/// The port that a sentinel listens on where none is named.
const SENTINEL_PORT: u16 = 26379;

/// Where Redis is, and how to log in there.
pub(super) enum Address {
    /// One server.
    Server(Box<ConnectionInfo>),
    /// Sentinels, with the login and the database of the servers they watch, and the name they have for the primary.
    Sentinels(Vec<ConnectionInfo>, String),
    /// Some nodes of a cluster.
    Cluster(Vec<ConnectionInfo>),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (format!("{login}@"), place),
            None => (String::new(), rest),
        };
        let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
        let nodes = |scheme: &str, port: Option<u16>, database: &str| {
            let each = hosts.split(',').map(|host| match port {
                Some(port) if !has_port(host) => node(&format!("{scheme}://{login}{host}:{port}/{database}")),
                _ => node(&format!("{scheme}://{login}{host}/{database}")),
            });
            each.collect::<RedisResult<Vec<_>>>()
        };
        let wrong = |what: &str, error: &dyn std::fmt::Display, write: &str| {
            Err(format!("`{}` is not the URL of {what} ({error}): write {write}", without_credentials(url)))
        };
        match scheme.split_once('+') {
            Some((scheme @ ("redis" | "rediss"), "sentinel")) => {
                let write = format!("{scheme}+sentinel://HOST:PORT,HOST:PORT/MASTER");
                let (name, database) = path.split_once('/').unwrap_or((path, "0"));
                if name.is_empty() {
                    return wrong("a Redis that sentinels watch", &"the name of the primary is missing", &write);
                }
                match nodes(scheme, Some(SENTINEL_PORT), database) {
                    Ok(nodes) => Ok(Self::Sentinels(nodes, name.to_owned())),
                    Err(error) => wrong("a Redis that sentinels watch", &error, &write),
                }
            }
            Some((scheme @ ("redis" | "rediss"), "cluster")) => {
                let write = format!("{scheme}+cluster://HOST:PORT,HOST:PORT");
                if !matches!(path, "" | "0") {
                    return wrong("a Redis Cluster", &"a cluster has no databases", &write);
                }
                match nodes(scheme, None, "") {
                    Ok(nodes) => Ok(Self::Cluster(nodes)),
                    Err(error) => wrong("a Redis Cluster", &error, &write),
                }
            }
            _ => node(url)
                .map(|server| Self::Server(Box::new(server)))
                .or_else(|error| wrong("a Redis server", &error, "redis://HOST:PORT")),
        }
    }
}

fn node(url: &str) -> RedisResult<ConnectionInfo> {
    let info = url.into_connection_info()?;
    // RESP3 carries wake-ups on the connection of the commands.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings).set_tcp_settings(at_once()))
}

/// Else a call beside another, such as a heartbeat beside a lease, waits 40 ms for an acknowledgement of TCP's.
pub(super) fn at_once() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn has_port(host: &str) -> bool {
    // An IPv6 address stands in brackets.
    host.rsplit(']').next().is_some_and(|end| end.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(nodes: &[ConnectionInfo]) -> Vec<String> {
        nodes.iter().map(|node| node.addr().to_string()).collect()
    }

    #[test]
    fn a_url_says_how_redis_is_run() {
        let Ok(Address::Server(server)) = "redis://ann:p%40ss@host:1/3".parse() else { panic!("no server") };
        let login = server.redis_settings();
        assert_eq!((login.username(), login.password(), login.db()), (Some("ann"), Some("p@ss"), 3));

        let url = "redis+sentinel://ann:p%2Fass@one,[::1],two:7/mymaster/3";
        let Ok(Address::Sentinels(sentinels, name)) = url.parse() else { panic!("no sentinels") };
        assert_eq!(
            (shown(&sentinels), name.as_str()),
            (vec!["one:26379".into(), "::1:26379".into(), "two:7".into()], "mymaster")
        );
        assert_eq!((sentinels[2].redis_settings().username(), sentinels[0].redis_settings().db()), (Some("ann"), 3));

        let Ok(Address::Cluster(nodes)) = "rediss+cluster://:pass@one:1,two/".parse() else { panic!("no cluster") };
        assert_eq!(shown(&nodes), ["one:1", "two:6379"]);
        assert_eq!(nodes[1].redis_settings().password(), Some("pass"));
    }

    #[test]
    fn a_url_that_cannot_be_says_what_to_write() {
        for (url, words) in [
            ("redis://host:port", "write redis://HOST:PORT"),
            ("redis+sentinel://ann:s3cret@one,two", "the name of the primary is missing"),
            ("rediss+sentinel://one/m/x", "write rediss+sentinel://HOST:PORT,HOST:PORT/MASTER"),
            ("redis+cluster://ann:s3cret@one/1", "a cluster has no databases"),
            ("redis+cluster://", "write redis+cluster://HOST:PORT,HOST:PORT"),
            ("redis+cluster://one,,two", "write redis+cluster://HOST:PORT,HOST:PORT"),
        ] {
            let error = url.parse::<Address>().err().unwrap_or_else(|| panic!("{url} passed"));
            assert!(error.contains(words) && !error.contains("s3cret"), "{error:?} does not say {words:?}");
        }
    }
}
