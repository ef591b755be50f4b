//! What a worker ran, as its effects file tells even where the worker is dead: `AFRESH_EFFECTS` of `host/src/effects.rs`.

use std::path::{Path, PathBuf};

use afresh_queue::JobId;
use serde_json::Value;

/// An effects file.
#[derive(Clone, Debug)]
pub(crate) struct Effects(PathBuf);

impl Effects {
    /// The file that a worker is to write: `worker.env("AFRESH_EFFECTS", effects.path())`.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// How often a guest of this job was about to run.
    pub(crate) fn starts(&self, job: &JobId) -> usize {
        self.lines().iter().filter(|line| line["what"] == "start" && line["job"] == job.as_str()).count()
    }

    /// The outcomes of the guests of this job that ended.
    pub(crate) fn outcomes(&self, job: &JobId) -> Vec<String> {
        let lines = self.lines().into_iter().filter(|line| line["what"] == "end" && line["job"] == job.as_str());
        lines.map(|line| line["outcome"].as_str().unwrap().to_owned()).collect()
    }

    /// How many guests have ended.
    pub(crate) fn ends(&self) -> usize {
        self.lines().iter().filter(|line| line["what"] == "end").count()
    }

    /// A worker that is killed may have left half a line; nothing before it is missing.
    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
