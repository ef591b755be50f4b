//! What holds jobs of a queue back: limits and pauses; and whether its keys take turns. Rules are kept in the broker, so
//! they hold for every worker at once, and are enforced in the step that gives leases.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::broker::BrokerError;
use crate::unique::check_key;
use afresh_protocol::policy::check_name;

/// The longest time between two starts that a rate may ask for: a day.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// How long an empty bucket may take to fill. Far less than what Redis holds exactly, which is 142 years of microseconds.
const MAX_REACH: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The most tokens a rate may save up.
const MAX_BURST: u32 = 1_000_000;

/// Which jobs of a queue a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub enum Scope {
    /// All of them together.
    Queue,
    /// Those of one task.
    Task(String),
    /// Those for one key.
    Key(String),
    /// Those for each key that has no rule of its own.
    EachKey,
}

/// How many jobs may run, and how fast they may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// At most so many at the same time.
    pub concurrency: Option<u32>,
    /// No faster than this.
    pub rate: Option<Rate>,
}

/// A token bucket: it starts full, each start takes a token, and one comes back at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A token comes back so often, in whole microseconds.
    pub every: Duration,
    /// The bucket holds so many.
    pub burst: u32,
}

/// A rule and how things stand under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Which jobs it is for.
    pub scope: Scope,
    /// How many and how fast.
    #[serde(flatten)]
    pub limit: Limit,
    /// Whether none is to start.
    pub paused: bool,
    /// Jobs that run under it; for [`Scope::EachKey`] 0.
    pub running: u64,
    /// Jobs that it keeps from starting; for [`Scope::EachKey`] and [`Scope::Queue`] 0.
    pub held: u64,
}

/// The version of the record that holds a job, where it is no limit that does, of what
/// [`JobView::held_by`](crate::JobView::held_by) says: a newer version of Afresh wrote it.
pub fn version_held(held_by: &str) -> Option<u64> {
    held_by.strip_prefix("record:")?.parse().ok()
}

/// The rules of one queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueRules {
    /// The queue.
    pub queue: String,
    /// Whether its keys take turns.
    pub fair: bool,
    /// Its rules, in the order of their scopes.
    pub rules: Vec<Rule>,
    /// Queued jobs that no rule holds, but their records: a newer version of Afresh wrote them, and they wait for a worker
    /// of that version.
    pub newer: u64,
}

/// Sets and shows rules. All of them are of one queue.
#[async_trait]
pub trait Control {
    /// Sets a limit; an empty one takes it away. Jobs that run already count.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] if the queue's or scope's name or a number cannot be; else the broker's own, here and below.
    async fn set_limit(&self, queue: &str, scope: &Scope, limit: &Limit) -> Result<(), BrokerError>;

    /// Pauses a queue, a task or a key, or lets it go on: at once, on every worker. What runs goes on. False if that
    /// changes nothing.
    async fn set_paused(&self, queue: &str, scope: &Scope, paused: bool) -> Result<bool, BrokerError>;

    /// Makes a queue fair: the keys of its jobs take turns. Jobs that are queued already keep their places. False if that
    /// changes nothing.
    async fn set_fair(&self, queue: &str, fair: bool) -> Result<bool, BrokerError>;

    /// The rules of every queue that has any, by name.
    async fn rules(&self) -> Result<Vec<QueueRules>, BrokerError>;
}

impl Scope {
    /// Checks the name in it.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Queue | Self::EachKey => Ok(()),
            Self::Task(task) => check_name(task).map_err(|reason| format!("the task: {reason}")),
            Self::Key(key) => check_key(key).map_err(|reason| format!("the key: {reason}")),
        }
    }

    /// Reads a scope as brokers store it; `None` for anything else.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match (name, name.split_once(':')) {
            ("queue", _) => Some(Self::Queue),
            ("keys", _) => Some(Self::EachKey),
            (_, Some(("task", task))) => Some(Self::Task(task.to_owned())),
            (_, Some(("key", key))) => Some(Self::Key(key.to_owned())),
            _ => None,
        }
    }
}

/// As brokers store it, and as a held job names what holds it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue => f.pad("queue"),
            Self::Task(task) => f.pad(&format!("task:{task}")),
            Self::Key(key) => f.pad(&format!("key:{key}")),
            Self::EachKey => f.pad("keys"),
        }
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl Limit {
    /// Checks that the numbers can be.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.concurrency == Some(0) {
            return Err("a limit of 0 at the same time would hold every job for ever: pause instead".to_owned());
        }
        match self.rate {
            Some(Rate { every, .. }) if every < Duration::from_micros(1) || every > MAX_INTERVAL => {
                Err("a rate must be from one a day to a million a second".to_owned())
            }
            Some(Rate { every, burst }) if every * burst > MAX_REACH => {
                Err("a rate's burst is more than ten years of it: make one of them smaller".to_owned())
            }
            Some(Rate { burst, .. }) if burst == 0 || burst > MAX_BURST => {
                Err(format!("a rate's burst is {burst}, it must be from 1 to {MAX_BURST}"))
            }
            _ => Ok(()),
        }
    }
}

impl Rate {
    /// So many in a span. The bucket holds what one second brings, at least one.
    pub fn new(count: u32, span: Duration) -> Self {
        let every =
            Duration::from_micros(span.as_micros().div_ceil(u128::from(count.max(1))).try_into().unwrap_or(u64::MAX));
        let a_second = Duration::from_secs(1).as_micros() / every.as_micros().max(1);
        Self { every, burst: u32::try_from(a_second).unwrap_or(MAX_BURST).clamp(1, MAX_BURST) }
    }
}

/// `100/s`, `5/m`, `20/h` or `1/d`.
impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown: String = text.escape_debug().take(40).collect();
            format!("`{shown}` is not a rate: write it like 100/s, 5/m, 20/h or 1/d")
        };
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            _ => return Err(wrong()),
        };
        match count.parse() {
            Ok(count) if (1..=1_000_000).contains(&count) => Ok(Self::new(count, Duration::from_secs(seconds))),
            _ => Err(wrong()),
        }
    }
}

/// As it is written, in the largest unit in which it is a whole number.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every = self.every.as_micros().max(1);
        for (unit, micros) in [("s", 1_000_000_u64), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000)] {
            let count = u32::try_from(u128::from(micros).div_ceil(every)).unwrap_or(u32::MAX);
            if Self::new(count, Duration::from_micros(micros)).every == self.every && u128::from(micros) >= every {
                return f.pad(&format!("{count}/{unit}"));
            }
        }
        f.pad(&format!("one every {:?}", self.every))
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut rate = serializer.serialize_struct("Rate", 2)?;
        rate.serialize_field("every_us", &u64::try_from(self.every.as_micros()).unwrap_or(u64::MAX))?;
        rate.serialize_field("burst", &self.burst)?;
        rate.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for (text, every_us, burst) in [
            ("100/s", 10_000, 100),
            ("3/s", 333_334, 2),
            ("1/s", 1_000_000, 1),
            ("5/m", 12_000_000, 1),
            ("600/m", 100_000, 10),
            ("20/h", 180_000_000, 1),
            ("1/d", 86_400_000_000, 1),
            ("1000000/s", 1, 1_000_000),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.every, rate.burst), (Duration::from_micros(every_us), burst), "{text}");
            assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate), "{text} is shown as {rate}");
        }
        for wrong in ["", "5", "0/s", "-1/s", "5/w", "1.5/s", "/s", "9999999/s"] {
            assert!(wrong.parse::<Rate>().unwrap_err().contains("write it like 100/s"), "{wrong}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_is_refused_with_a_sentence() {
        let rate = |every, burst| Limit { rate: Some(Rate { every, burst }), ..Limit::default() };
        for (limit, reason) in [
            (Limit { concurrency: Some(0), rate: None }, "pause instead"),
            (rate(Duration::ZERO, 1), "from one a day to a million a second"),
            (rate(Duration::from_secs(90_000), 1), "from one a day"),
            (rate(Duration::from_secs(1), 0), "burst is 0"),
            (rate(Duration::from_secs(80_000), 900_000), "more than ten years of it"),
        ] {
            assert!(limit.check().unwrap_err().contains(reason), "{limit:?}");
        }
        assert_eq!(rate(Duration::from_secs(1), 9).check(), Ok(()));
    }

    #[test]
    fn scopes_are_stored_and_read_back() {
        for scope in [Scope::Queue, Scope::EachKey, Scope::Task("a.b".into()), Scope::Key("customer:42".into())] {
            assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
        }
        assert_eq!(Scope::parse("tenant:1"), None);
    }
}
