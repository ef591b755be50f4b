//! Cases in an `example.toml`: a job each, and what is to become of it. What `afresh dev` runs, and what a test asserts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use afresh_protocol::OutcomeKind;
use afresh_queue::{JobView, NewJob, State};
use anyhow::Context as _;
use serde::Deserialize;

/// The file that holds a folder's cases.
const FILE: &str = "example.toml";

/// One case: a job, and what is to become of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The task to run.
    pub task: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// What the job's last attempt is to come to.
    pub outcome: OutcomeKind,
    /// How many attempts are to be started.
    pub attempts: u32,
    /// The reply, byte by byte, where it is compared.
    pub reply: Option<Vec<u8>>,
    /// A part of the last attempt's error message, where it is compared.
    pub message: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Written>,
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    task: String,
    name: Option<String>,
    input: Option<PathBuf>,
    payload: Option<String>,
    outcome: Option<String>,
    attempts: Option<u32>,
    expected: Option<PathBuf>,
    reply: Option<String>,
    message: Option<String>,
}

/// The cases of a folder and of the folders in it, in the order of their names.
///
/// # Errors
/// When a file cannot be read or is not such a list, with its path.
pub fn cases_in(folder: &Path) -> anyhow::Result<Vec<Case>> {
    let mut files = vec![folder.join(FILE)];
    for item in fs::read_dir(folder).with_context(|| format!("failed to read the folder {}", folder.display()))? {
        files.push(item?.path().join(FILE));
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files.into_iter().filter(|file| file.is_file()) {
        cases.extend(cases_of(&file).with_context(|| format!("failed to read the cases in {}", file.display()))?);
    }
    Ok(cases)
}

fn cases_of(file: &Path) -> anyhow::Result<Vec<Case>> {
    let written: File = toml::from_str(&fs::read_to_string(file)?)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    written.case.into_iter().map(|case| case.read(folder)).collect()
}

impl Written {
    fn read(self, folder: &Path) -> anyhow::Result<Case> {
        let outcome = self.outcome.as_deref().unwrap_or("succeeded").parse().map_err(anyhow::Error::msg)?;
        Ok(Case {
            payload: bytes(folder, self.input, self.payload)?.unwrap_or_default(),
            reply: bytes(folder, self.expected, self.reply)?,
            name: self.name.unwrap_or_else(|| self.task.clone()),
            task: self.task,
            attempts: self.attempts.unwrap_or(1),
            message: self.message,
            outcome,
        })
    }
}

fn bytes(folder: &Path, file: Option<PathBuf>, text: Option<String>) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(file) = file else { return Ok(text.map(String::into_bytes)) };
    let path = folder.join(file);
    fs::read(&path).map(Some).with_context(|| format!("failed to read {}", path.display()))
}

impl Case {
    /// The case as a job.
    pub fn job(&self) -> NewJob {
        NewJob::new(&self.task, self.payload.clone())
    }

    /// What is not as the case wants it, in one line; empty if all is.
    pub fn compare(&self, job: &JobView, reply: Option<&[u8]>) -> String {
        let mut wrong = String::new();
        let last = job.attempts.first();
        let state = if self.outcome == OutcomeKind::Succeeded { State::Succeeded } else { State::Dead };
        if job.state != state {
            let _ = write!(wrong, "the job is {}, not {state}; ", job.state);
        }
        if last.is_some_and(|last| last.outcome != self.outcome) {
            let _ = write!(wrong, "its outcome should be {}; ", self.outcome);
        }
        if job.attempts_started != self.attempts {
            let _ = write!(wrong, "it should take {} attempts; ", self.attempts);
        }
        if self.reply.is_some() && self.reply.as_deref() != reply {
            wrong += "its reply differs; ";
        }
        let message = last.and_then(|last| last.error.as_ref()).map_or("", |error| &error.message);
        if let Some(part) = self.message.as_ref().filter(|part| !message.contains(part.as_str())) {
            let _ = write!(wrong, "its message lacks {part:?}; ");
        }
        wrong.trim_end_matches("; ").to_owned()
    }
}
