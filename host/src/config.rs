//! `afresh.toml`: one documented file of defaults (`default-config.toml`), laid under the operator's own. Unknown keys
//! are errors, so that a typing error never becomes a missing limit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use afresh_queue::BrokerUrl;
use anyhow::Context as _;
use bytesize::ByteSize;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::grants::{self, SecretSource};
use crate::worker::turns::{self, Served};

/// The defaults, as a person reads them; `afresh config` prints this.
pub const DEFAULTS: &str = include_str!("default-config.toml");

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "afresh.toml";

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where jobs are kept.
    #[serde(deserialize_with = "broker_url")]
    pub broker: BrokerUrl,
    /// The most bytes a payload may have when a job is enqueued.
    pub max_payload: ByteSize,
    /// The worker's own.
    pub worker: WorkerConfig,
    /// What a task gets that asks for nothing.
    pub defaults: TaskDefaults,
    /// The most any task or job may ask for.
    pub limits: Ceilings,
    /// How long what has ended is kept.
    pub retention: RetentionConfig,
    /// Tighter walls for single tasks, by name.
    #[serde(default)]
    pub tasks: BTreeMap<String, TaskCeilings>,
}

/// The section `[worker]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// The folder of task modules.
    pub tasks: PathBuf,
    /// The private folder that compiled modules are kept in.
    pub cache: PathBuf,
    /// The private folder that scratch folders are made in.
    pub scratch: PathBuf,
    /// The queues to serve.
    pub queues: Vec<Served>,
    /// Whether they are served in this order, whatever the weights.
    pub strict: bool,
    /// Slots; 0 is one for each core.
    pub concurrency: usize,
    /// Bytes guests may take together; 0 is 80 % of what there is.
    pub memory_budget: ByteSize,
    /// Processor time that compiling one module may take.
    #[serde(with = "humantime_serde")]
    pub compile_cpu: Duration,
    /// Time by the clock that it may take.
    #[serde(with = "humantime_serde")]
    pub compile_time: Duration,
    /// Bytes of memory that it may take.
    pub compile_memory: ByteSize,
    /// How long a lease lasts without a heartbeat.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long attempts may go on after a signal.
    #[serde(with = "humantime_serde")]
    pub shutdown_timeout: Duration,
}

/// The section `[defaults]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDefaults {
    /// Bytes of linear memory.
    pub memory: ByteSize,
    /// Time of one attempt.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Attempts that may start.
    pub max_attempts: u32,
    /// The shortest wait before a retry.
    #[serde(with = "humantime_serde")]
    pub min_backoff: Duration,
    /// The longest wait before a retry.
    #[serde(with = "humantime_serde")]
    pub max_backoff: Duration,
    /// How long a result is kept.
    #[serde(with = "humantime_serde")]
    pub keep_result: Duration,
}

/// The section `[limits]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceilings {
    /// Bytes of linear memory.
    pub memory: ByteSize,
    /// Time of one attempt.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Attempts that may start.
    pub max_attempts: u32,
    /// Bytes of a reply.
    pub output: ByteSize,
    /// Bytes kept of an error's text.
    pub error: ByteSize,
    /// Bytes kept of log lines.
    pub log: ByteSize,
    /// Waits that cost no attempt.
    pub waits: u32,
    /// Attempts that may take their worker down.
    pub lost: u32,
}

/// The section `[retention]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// How long dead jobs are kept.
    #[serde(with = "humantime_serde")]
    pub dead_for: Duration,
    /// Bytes that the dead jobs of one queue may have together.
    pub dead_bytes: ByteSize,
}

/// A section `[tasks.NAME]`: tighter walls, and what it may besides.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskCeilings {
    /// Bytes of linear memory.
    pub memory: Option<ByteSize>,
    /// Time of one attempt.
    #[serde(with = "humantime_serde")]
    pub timeout: Option<Duration>,
    /// Attempts that may start.
    pub max_attempts: Option<u32>,
    /// The file that alone may serve it, by its name in the tasks folder. A module can call its tasks what it likes; so where
    /// something is granted and no file is named, it is the file that is named after the task.
    pub module: Option<String>,
    /// The queues it may enqueue jobs into: none, unless they are named here.
    pub enqueue: Vec<String>,
    /// Environment variables it gets, with their values.
    pub env: BTreeMap<String, String>,
    /// Secrets it gets as environment variables, and where their values are.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Folders it may read: the guest's path, and the folder.
    pub folders: BTreeMap<String, PathBuf>,
    /// Bytes of the scratch folder it gets.
    pub scratch: Option<ByteSize>,
}

impl TaskCeilings {
    /// The file that alone may serve this task; `None` where any may.
    pub fn file_of(&self, task: &str) -> Option<String> {
        self.module.clone().or_else(|| self.grants().then(|| format!("{task}.wasm")))
    }

    /// Whether a task of this name in this file is the one that is meant.
    pub fn is_for(&self, task: &str, file: &Path) -> bool {
        self.file_of(task).is_none_or(|name| file.file_name().is_some_and(|file| *file == *name))
    }

    /// Whether it gives the task anything, besides taking from it.
    pub fn grants(&self) -> bool {
        let Self { enqueue, env, secrets, folders, scratch, .. } = self;
        !(enqueue.is_empty() && env.is_empty() && secrets.is_empty() && folders.is_empty()) || scratch.is_some()
    }
}

impl Config {
    /// The section whose grants a task in this file gets.
    pub fn granted(&self, task: &str, file: &Path) -> Option<&TaskCeilings> {
        self.tasks.get(task).filter(|section| section.is_for(task, file))
    }

    /// Reads the file named, or `afresh.toml` where it is there, over the defaults.
    ///
    /// # Errors
    /// When the file cannot be read or holds what it must not, with its place.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        if file.is_none() && !path.exists() {
            return Self::parse("");
        }
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read the configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the configuration {} is not valid", path.display()))
    }

    /// Reads a configuration's text over the defaults.
    ///
    /// # Errors
    /// When it is not TOML, has unknown keys, or values that cannot be.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut whole = DeTable::parse(DEFAULTS).context("the built-in defaults are not TOML")?;
        let own = DeTable::parse(text).map_err(|error| placed(&error, text))?;
        overlay(whole.get_mut(), own.into_inner());
        // Every place in this comes from the operator's text: the defaults alone are valid.
        let config = Self::deserialize(toml::Deserializer::from(whole)).map_err(|error| placed(&error, text))?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types cannot say; for whoever lays flags over a configuration.
    ///
    /// # Errors
    /// Which key cannot be, and what can.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.worker.lease >= Duration::from_secs(1),
            "worker.lease is {}, use 1s or more",
            humantime::format_duration(self.worker.lease)
        );
        for (name, task) in &self.tasks {
            grants::check(task).with_context(|| format!("tasks.{name}"))?;
        }
        turns::check(&self.worker.queues, self.worker.strict).map_err(anyhow::Error::msg).context("worker.queues")
    }
}

/// Lays one table over another, section by section; each key and value keeps its place in its own text.
fn overlay<'a>(under: &mut DeTable<'a>, over: DeTable<'a>) {
    for (key, value) in over {
        match (under.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.get_ref()) {
            (Some(DeValue::Table(below)), DeValue::Table(_)) => {
                if let DeValue::Table(above) = value.into_inner() {
                    overlay(below, above);
                }
            }
            _ => drop(under.insert(key, value)),
        }
    }
}

/// What is wrong and where, without the line itself: it may hold a broker's password.
fn placed(error: &toml::de::Error, text: &str) -> anyhow::Error {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or(text);
    anyhow::anyhow!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

fn broker_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BrokerUrl, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_whole_and_a_file_need_only_hold_what_differs() {
        let defaults = Config::parse("").unwrap();
        let changed = Config::parse("[worker]\nlease = \"5s\"\n[tasks.resize]\nmemory = \"16 MiB\"").unwrap();
        assert_eq!(changed.worker.lease, Duration::from_secs(5));
        assert_eq!(changed.tasks["resize"].memory, Some(ByteSize::mib(16)));
        assert_eq!(changed.worker.queues, defaults.worker.queues);
    }

    #[test]
    fn the_example_of_a_task_s_section_is_valid() {
        let (_, section) = DEFAULTS.split_once("# [tasks.thumbnail]\n").unwrap();
        let section: Vec<_> = section.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
        let config = Config::parse(&format!("[tasks.thumbnail]\n{}", section.join("\n"))).unwrap();
        let task = &config.tasks["thumbnail"];
        assert_eq!((task.secrets.len(), task.folders.len(), task.scratch), (2, 1, Some(ByteSize::mib(64))));
    }

    #[test]
    fn what_must_not_be_there_is_named() {
        for (text, word) in [
            ("[worker]\nleese = \"5s\"", "leese"),
            ("colour = 1", "colour"),
            ("[tasks.a]\nfuel_price = 1", "fuel_price"),
            ("[worker]\nlease = \"0s\"", "worker.lease"),
            ("[worker]\nqueues = []", "worker.queues"),
            ("[worker]\nqueues = [\"a\", \"b=0\"]", "`0` is not a weight for the queue b"),
            ("[worker]\nqueues = [\"a=2\"]\nstrict = true", "worker.queues: a strict order has no weights"),
            ("broker = \"mysql://ann:secret@x\"", "mysql"),
            ("max_payload = 1\nbroker = \"redis://ann:secret@x\n", "line 2"),
            ("[worker]\nlease = \"5s\"\nleese = \"5s\"", "line 3"),
            ("[tasks.a]\nfuel_price = 1", "line 2"),
            ("\n[limits]\ntimeout = 5", "line 3"),
            ("\n\n[walls]", "line 3"),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(!error.contains("ann:secret"), "{error:?} shows a password");
            assert!(error.contains(word), "{error:?} does not name {word:?}");
        }
    }
}
