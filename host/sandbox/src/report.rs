//! What goes into one attempt, and what comes out of it.

use std::sync::Arc;

use afresh_protocol::abi::LogLevel;
use afresh_protocol::{Outcome, Usage};

use crate::environment::Environment;
use crate::files::{Folder, Scratch};
use crate::outbox::Outbox;
use crate::secrets::Secrets;
use crate::watch::Watch;

/// What goes into one attempt.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The task's name: `argv[0]`.
    pub task: String,
    /// The payload, opaque.
    pub payload: Vec<u8>,
    /// The guest's whole environment, but for its secrets.
    pub env: Environment,
    /// Further variables, whose values are kept out of the log and the error. The reply is the guest's own.
    pub secrets: Secrets,
    /// The folders it may read.
    pub folders: Vec<Folder>,
    /// The folder it may write; `None` where it may write nowhere.
    pub scratch: Option<Scratch>,
    /// A window for who wants to look while the guest runs; one for this attempt alone.
    pub watch: Option<Watch>,
    /// Where the guest may put its requests; `None` where it may not.
    pub outbox: Option<Arc<dyn Outbox>>,
}

/// What comes out of one attempt. By the time anybody holds one, the instance and its memory are gone.
#[derive(Clone, Debug)]
pub struct Report {
    /// What became of it.
    pub outcome: Outcome,
    /// What it took.
    pub usage: Usage,
    /// The newest log lines, within the limit.
    pub log: Vec<LogLine>,
    /// The last progress the guest reported, from 0 to 1.
    pub progress: Option<f64>,
}

/// One line the guest logged; its text is as the guest wrote it, so escape it before a person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its level; a line of a plain command's stderr is [`LogLevel::Info`].
    pub level: LogLevel,
    /// Its text, without the line end; bytes that are not UTF-8 are replaced.
    pub text: String,
}
