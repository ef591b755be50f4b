//! A peer: two command lines, one that hands over jobs and one that is a worker.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::output_of;
use crate::contender::{Contender, Facts};

/// Names and values.
pub(crate) type Variables = &'static [(&'static str, &'static str)];

/// A contender that is a program of another queue. It finds Redis by the variable `PEER_REDIS`.
pub(crate) struct Peer {
    pub(crate) facts: Facts,
    /// Where both run.
    pub(crate) folder: PathBuf,
    /// What hands over jobs; their number comes last.
    pub(crate) enqueue: Vec<String>,
    pub(crate) work: Vec<String>,
    /// What its worker finds in its environment beside Redis.
    pub(crate) variables: Variables,
}

impl Peer {
    fn command(&self, words: &[String], redis: &str) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(&self.folder).env("PEER_REDIS", redis);
        // These programs stand in the repository, where nothing is to be left behind.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

impl Contender for Peer {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn enqueue(&self, redis: &str, jobs: usize) -> anyhow::Result<()> {
        output_of(self.command(&self.enqueue, redis).arg(jobs.to_string())).map(|_| ())
    }

    fn worker(&self, redis: &str) -> Command {
        let mut worker = self.command(&self.work, redis);
        worker.envs(self.variables.iter().copied());
        worker
    }
}

/// A command line: a program and words, separated by spaces.
pub(crate) fn words(program: &Path, words: &str) -> Vec<String> {
    let program = program.display().to_string();
    [program].into_iter().chain(words.split(' ').map(str::to_owned)).collect()
}
