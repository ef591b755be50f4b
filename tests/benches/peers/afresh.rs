//! Afresh itself, with everything at its default: leases with tokens, history, retries, and each attempt in a fresh instance.
//! Its task is the SDK's, and its concurrency the cores.

use std::path::PathBuf;
use std::process::Command;

use afresh_bench_kit::guest::{Guests, noop};
use afresh_queue::{Clock, open};
use tempfile::TempDir;

use crate::contender::{Contender, Facts, Guarantees, Recovery};
use crate::program;

/// Jobs handed over in one call.
const CHUNK: usize = 1_000;

struct Afresh {
    facts: Facts,
    program: PathBuf,
    tasks: TempDir,
    /// Where its worker runs, so that no configuration is found and its cache is its own.
    folder: TempDir,
}

/// # Errors
/// If the program or its task does not build.
pub(crate) fn contenders(program: Option<PathBuf>) -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let program = program::given_or_built(program)?;
    let (folder, tasks) = (tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::write(tasks.path().join("noop.wasm"), Guests::build(&program)?.noop)?;
    let facts = Facts {
        peer: format!("Afresh {}", env!("CARGO_PKG_VERSION")),
        settings: "defaults".to_owned(),
        guarantees: Guarantees {
            recovery: Recovery::Job("lease with token, 30 s"),
            acknowledged: true,
            retried: true,
            own_memory: Some("Wasm instance"),
        },
        jobs: 150_000,
        left: &["ZCARD afresh:{default}:queued", "ZCARD afresh:{default}:running"],
        failed: &["ZCARD afresh:{default}:scheduled", "ZCARD afresh:{default}:held", "ZCARD afresh:{default}:dead"],
    };
    Ok(vec![Box::new(Afresh { facts, program, tasks, folder })])
}

impl Contender for Afresh {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn enqueue(&self, redis: &str, jobs: usize) -> anyhow::Result<()> {
        tokio::runtime::Runtime::new()?.block_on(async {
            let broker = open(&redis.parse().map_err(anyhow::Error::msg)?, Clock::Broker).await?;
            for begin in (0..jobs).step_by(CHUNK) {
                broker.enqueue((begin..jobs.min(begin + CHUNK)).map(noop).collect()).await?;
            }
            Ok(())
        })
    }

    fn worker(&self, redis: &str) -> Command {
        let mut worker = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AFRESH_")) {
            worker.env_remove(name);
        }
        worker.current_dir(self.folder.path()).args(["worker", "--burst", "--broker", redis]);
        worker.arg("--tasks").arg(self.tasks.path());
        worker
    }
}
