//! Where a broker is: the URL that a person writes, parsed once, and [`open`], which makes a broker of it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};

use crate::broker::{Broker, BrokerError};
use crate::clock::Clock;
use crate::redis::RedisBroker;
use crate::sqlite::SqliteBroker;

/// The embedded broker's file where nobody names one.
pub const DEFAULT_FILE: &str = ".afresh/jobs.db";

/// Where a broker is: `sqlite:PATH`, `sqlite::memory:`, `redis://…`, `redis+sentinel://…` or `redis+cluster://…`, or these
/// with `rediss` for TLS. Shown without credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Memory,
    File(PathBuf),
    Redis(String),
}

impl BrokerUrl {
    /// The file of an embedded broker.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(path.into()))
    }

    /// An embedded broker in memory: every [`open`] of it is a new and empty one.
    pub fn memory() -> Self {
        Self(Place::Memory)
    }

    /// Whether the broker lives in this machine's files or memory, and needs no server.
    pub fn is_embedded(&self) -> bool {
        !matches!(self.0, Place::Redis(_))
    }
}

impl Default for BrokerUrl {
    /// The embedded broker, in [`DEFAULT_FILE`] under the current folder.
    fn default() -> Self {
        Self::file(DEFAULT_FILE)
    }
}

impl FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = "use sqlite:PATH, redis://HOST:PORT, redis+sentinel://HOST:PORT/MASTER or redis+cluster://HOST:PORT, \
                     or rediss for redis where it speaks TLS";
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(format!("`{}` is not a broker's URL: {known}", without_credentials(text)));
        };
        match scheme {
            "sqlite" if rest == ":memory:" => Ok(Self::memory()),
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err("`sqlite:` names no file: write sqlite:PATH, such as sqlite:.afresh/jobs.db".to_owned()),
                path => Ok(Self::file(path)),
            },
            "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster" | "rediss+cluster" => {
                if rest.strip_prefix("//").is_none_or(str::is_empty) {
                    return Err(format!("`{scheme}:` names no server: write {scheme}://HOST:PORT"));
                }
                Ok(Self(Place::Redis(text.to_owned())))
            }
            _ => Err(format!("`{scheme}:` is not a broker this program knows: {known}")),
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Memory => f.write_str("sqlite::memory:"),
            Place::File(path) => write!(f, "sqlite:{}", path.display()),
            Place::Redis(url) => f.write_str(&without_credentials(url)),
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A URL without the user and the password that may stand before its last `@`: fit for logs and error messages.
pub fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (&url[..scheme.len() + 3], rest));
    let bare = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}{bare}")
}

/// Opens the broker at `url`. A Redis server need not be up: the calls themselves say so while it is not. The embedded
/// broker's file, and the folder around it, are created where they are missing.
///
/// # Errors
/// [`BrokerError::Unusable`] if this can never serve: a malformed URL, no permission, a file that is not ours.
pub async fn open(url: &BrokerUrl, clock: Clock) -> Result<Arc<dyn Broker>, BrokerError> {
    Ok(match &url.0 {
        Place::Memory => Arc::new(SqliteBroker::in_memory(clock).await?),
        Place::File(path) => Arc::new(SqliteBroker::open(path, clock).await?),
        Place::Redis(url) => Arc::new(RedisBroker::new(url, clock)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_as_it_is_written_but_without_credentials() {
        for (written, shown) in [
            ("sqlite:.afresh/jobs.db", "sqlite:.afresh/jobs.db"),
            ("sqlite:///var/lib/jobs.db", "sqlite:/var/lib/jobs.db"),
            ("sqlite::memory:", "sqlite::memory:"),
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("rediss://ann:s3cr@t@host:1", "rediss://host:1"),
            ("redis://:pass/word@host", "redis://host"),
            ("redis+sentinel://ann:pass@one:1,two:2/mymaster/3", "redis+sentinel://one:1,two:2/mymaster/3"),
            ("rediss+cluster://:pass@one,two", "rediss+cluster://one,two"),
        ] {
            let url: BrokerUrl = written.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
        assert_eq!(BrokerUrl::default().to_string(), "sqlite:.afresh/jobs.db");
    }

    #[test]
    fn what_is_no_url_is_refused_with_a_sentence() {
        for (written, reason) in [
            ("", "not a broker's URL"),
            ("ann:pass@host", "not a broker this program knows"),
            ("sqlite:", "names no file"),
            ("redis:", "names no server"),
            ("rediss://", "names no server"),
            ("redis+cluster:", "names no server"),
            ("redis+ring://a", "not a broker this program knows"),
            ("amqp://a", "not a broker this program knows"),
        ] {
            let error = written.parse::<BrokerUrl>().unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
            assert!(!error.contains("pass"), "{error:?} shows a password");
        }
    }
}
