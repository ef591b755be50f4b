//! Fuzzing in a test: which task, under which limits, with which payloads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use afresh_protocol::{Outcome, TaskPolicy};
use afresh_sandbox::{Cancel, Limits};
use anyhow::{Context as _, ensure};
use bytesize::ByteSize;

use crate::again::Again;
use crate::build::{Module, names};
use crate::engine::{Fuzzer, Plan};
use crate::finding::Finding;
use crate::folder::Folder;
use crate::oracle::{Flaw, Judgement, Oracle};
use crate::show;
use crate::subject::Subject;

/// Chooses where chance begins: a number.
pub(crate) const SEED: &str = "AFRESH_FUZZ_SEED";

/// How many seconds to look for, in place of what the test says.
pub(crate) const SECONDS: &str = "AFRESH_FUZZ_SECONDS";

/// The longest payload that is read from a folder or tried, in bytes.
const LONGEST: usize = 1 << 20;

/// Fuzzes the guest of the crate in `dir`, mostly `env!("CARGO_MANIFEST_DIR")`: its module is built with the crate's own
/// release profile, once for all tests of the process.
pub fn guest(dir: impl Into<PathBuf>) -> Guest {
    Guest::new(Source::Crate(dir.into()))
}

/// A guest to be fuzzed, and how. Nothing happens before one of [`Guest::bytes`], `json`, `payloads` or `arbitrary`.
///
/// It is granted nothing: a task that needs a folder, a secret or to enqueue may only ever fail here, which is no finding.
/// [`Guest::expect`] tells whether payloads get through.
///
/// Those run the same way each time, except for guests that ask for randomness or the time. `AFRESH_FUZZ_SEED=N` lets chance
/// begin elsewhere, and `AFRESH_FUZZ_SECONDS=N` looks for so long instead of for so many attempts. A payload that is found
/// is kept in a file, and the next run begins with it.
#[must_use = "nothing is run before `bytes`, `json`, `payloads` or `arbitrary`"]
pub struct Guest {
    source: Source,
    task: Option<String>,
    memory: Option<ByteSize>,
    timeout: Option<Duration>,
    fuel: Option<u64>,
    pub(crate) runs: Option<u64>,
    pub(crate) time: Option<Duration>,
    seeds: Vec<Vec<u8>>,
    seed_folders: Vec<PathBuf>,
    findings: Option<PathBuf>,
    oracle: Oracle,
}

enum Source {
    Crate(PathBuf),
    Module(PathBuf),
}

impl Guest {
    /// Fuzzes a module that was compiled before, in whatever language.
    pub fn module(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Module(path.into()))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            task: None,
            memory: None,
            timeout: None,
            fuel: None,
            runs: None,
            time: None,
            seeds: Vec::new(),
            seed_folders: Vec::new(),
            findings: None,
            oracle: Oracle::default(),
        }
    }

    /// The task, where the module has several.
    pub fn task(mut self, name: impl Into<String>) -> Self {
        self.task = Some(name.into());
        self
    }

    /// The memory of an attempt, such as `"64MiB"`; otherwise what the task itself asks for.
    ///
    /// # Panics
    /// When that is no size.
    #[track_caller]
    pub fn memory(mut self, size: &str) -> Self {
        self.memory = Some(size.parse().unwrap_or_else(|_| panic!("`{size}` is no size; write one such as `64MiB`")));
        self
    }

    /// The time of an attempt, such as `"500ms"`; otherwise what the task itself asks for.
    ///
    /// # Panics
    /// When that is no time.
    #[track_caller]
    pub fn timeout(mut self, time: &str) -> Self {
        let parsed = humantime::parse_duration(time);
        self.timeout = Some(parsed.unwrap_or_else(|_| panic!("`{time}` is no time; write one such as `500ms`")));
        self
    }

    /// The fuel of an attempt, about one for each instruction; otherwise what the task itself asks for.
    pub fn fuel(mut self, fuel: u64) -> Self {
        self.fuel = Some(fuel);
        self
    }

    /// Looks for so many attempts; otherwise 2,000, or 256 payloads of a strategy.
    pub fn runs(mut self, runs: u64) -> Self {
        self.runs = Some(runs);
        self
    }

    /// Looks for so many seconds, and however many attempts that are: no two runs are the same then.
    pub fn for_seconds(mut self, seconds: u64) -> Self {
        self.time = Some(Duration::from_secs(seconds));
        self
    }

    /// Payloads to begin with: the better they are, the further [`Guest::bytes`] gets. The other ways to make payloads run
    /// them first, and make nothing of them.
    pub fn seeds<P: Into<Vec<u8>>>(mut self, payloads: impl IntoIterator<Item = P>) -> Self {
        self.seeds.extend(payloads.into_iter().map(Into::into));
        self
    }

    /// Payloads to begin with: the files of a folder, which in a crate is below that.
    pub fn seeds_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.seed_folders.push(folder.into());
        self
    }

    /// Where found payloads are kept; otherwise in `fuzz/findings` below the crate, or below the module's folder.
    pub fn findings_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.findings = Some(folder.into());
        self
    }

    /// Takes a flaw for the task's right.
    pub fn allow(mut self, flaw: Flaw) -> Self {
        self.oracle.allow(flaw);
        self
    }

    /// Expects something of every outcome: a sentence such as `"a reply no longer than its payload"`, and whether that
    /// holds.
    pub fn expect(
        mut self,
        sentence: impl Into<String>,
        holds: impl Fn(&[u8], &Outcome) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.oracle.expect(sentence, holds);
        self
    }

    /// Runs the task on bytes: those given to begin with, and what they become by chance, by the module's own words, and
    /// by what made the task end in a new way or use more fuel.
    ///
    /// # Panics
    /// With the smallest payload that does it, when a payload makes the task trap, panic, run into a wall, or differ
    /// between two attempts; and when there is nothing to run.
    #[track_caller]
    pub fn bytes(self) {
        let bench = self.prepare();
        bench.report(bench.look(bench.seeds.clone(), &|input| Some(input.to_vec())));
    }

    /// Builds and compiles, and runs what was found before.
    #[track_caller]
    pub(crate) fn prepare(self) -> Bench {
        let bench = Bench::new(self).unwrap_or_else(|error| panic!("nothing was fuzzed: {error:#}"));
        bench.report(bench.look_again());
        bench
    }

    /// As `prepare`, for payloads that are not made of the seeds: those are run as they are.
    #[cfg(any(feature = "proptest", feature = "arbitrary"))]
    #[track_caller]
    pub(crate) fn prepare_typed(self) -> Bench {
        let bench = self.prepare();
        bench.report(bench.look_at_seeds());
        bench
    }
}

/// A guest that is ready to be run.
pub(crate) struct Bench {
    subject: Subject,
    again: Again,
    oracle: Oracle,
    pub(crate) plan: Plan,
    seeds: Vec<Vec<u8>>,
    findings: Folder,
    before: Vec<(PathBuf, Vec<u8>)>,
}

/// A payload that is wrong, and the file it is in.
pub(crate) struct Found {
    finding: Finding,
    file: PathBuf,
    /// Whether an earlier run found it.
    is_old: bool,
}

impl Bench {
    fn new(guest: Guest) -> anyhow::Result<Self> {
        let (home, module) = match &guest.source {
            Source::Crate(dir) => (dir.clone(), Module::built(dir, guest.task.as_deref())?),
            Source::Module(path) => (path.parent().unwrap_or(Path::new("")).to_owned(), Module::open(path)?),
        };
        let policy = match (&guest.task, module.tasks.as_slice()) {
            (None, [only]) => Some(only),
            (named, tasks) => tasks.iter().find(|policy| Some(&policy.task) == named.as_ref()),
        };
        let policy = policy.with_context(|| {
            format!("choose one of the module's tasks with `task`: {}", names(&module.tasks).join(", "))
        })?;
        let (task, limits) = (policy.task.clone(), limits(policy, &guest));

        let findings = Folder::new(guest.findings.map_or_else(|| home.join("fuzz/findings"), |dir| home.join(dir)));
        let before = findings.read(LONGEST).with_context(|| failed_to_read(findings.path()))?.read;
        let mut seeds = guest.seeds;
        for folder in guest.seed_folders {
            let folder = Folder::new(home.join(folder));
            let read = folder.read(LONGEST).with_context(|| failed_to_read(folder.path()))?.read;
            ensure!(!read.is_empty(), "there is no payload in {}", folder.path().display());
            seeds.extend(read.into_iter().map(|(_, payload)| payload));
        }
        let longest = seeds.iter().map(|seed| seed.len() * 2).max().unwrap_or(0);
        let mut plan = Plan { stop_at_first: true, ..Plan::default() };
        plan.longest = longest.clamp(plan.longest, LONGEST);
        plan.seed = variable(SEED)?.unwrap_or(plan.seed);
        plan.time = variable(SECONDS)?.map(Duration::from_secs).or(guest.time);
        plan.runs = if plan.time.is_some() { None } else { guest.runs };
        let again = Again {
            module: module.path,
            task: task.clone(),
            memory: guest.memory.map(|size| size.as_u64()),
            timeout: guest.timeout,
            fuel: guest.fuel,
            config: None,
        };
        let subject = Subject::new(&module.wasm, task, limits, 1)?;
        Ok(Self { subject, again, oracle: guest.oracle, plan, seeds, findings, before })
    }

    /// Runs what was found before.
    fn look_again(&self) -> Option<Found> {
        self.before.iter().find_map(|(file, payload)| {
            let finding = self.look_at(payload)?;
            Some(Found { finding, file: file.clone(), is_old: true })
        })
    }

    /// Runs the seeds as they are.
    #[cfg(any(feature = "proptest", feature = "arbitrary"))]
    #[track_caller]
    fn look_at_seeds(&self) -> Option<Found> {
        self.seeds.iter().find_map(|payload| self.look_at(payload)).map(|finding| self.keep(finding))
    }

    /// Runs a payload as it is.
    fn look_at(&self, payload: &[u8]) -> Option<Finding> {
        let Judgement { flaw, message, .. } = self.judge(payload)?;
        Some(Finding { flaw, message, payload: payload.to_vec(), found_bytes: payload.len() })
    }

    /// Lets the engine look, beginning with these inputs.
    #[track_caller]
    pub(crate) fn look(&self, inputs: Vec<Vec<u8>>, shape: &crate::engine::Shape<'_>) -> Option<Found> {
        let plan = Plan { runs: self.plan.runs.or(self.plan.time.is_none().then_some(2_000)), ..self.plan.clone() };
        let fuzzer = Fuzzer {
            subject: &self.subject,
            oracle: &self.oracle,
            plan,
            // Those were looked at before, as payloads.
            earlier: Vec::new(),
            cancel: Cancel::new(),
            listener: &(),
        };
        let summary = fuzzer.run_shaped(inputs, shape).unwrap_or_else(|error| panic!("{error}"));
        summary.findings.into_iter().next().map(|finding| self.keep(finding))
    }

    /// What is wrong with a payload, by two attempts.
    #[track_caller]
    pub(crate) fn judge(&self, payload: &[u8]) -> Option<Judgement> {
        let run = || {
            let report = self.subject.run(payload, self.subject.timeout(), &Cancel::new());
            report.unwrap_or_else(|error| panic!("{error}")).outcome
        };
        let first = run();
        self.oracle.judge(payload, &first).or_else(|| self.oracle.compare(&first, &run()))
    }

    /// Keeps a payload that is wrong.
    #[track_caller]
    pub(crate) fn keep(&self, finding: Finding) -> Found {
        let file = self.findings.keep(finding.flaw.as_str(), &finding.payload);
        let file =
            file.unwrap_or_else(|error| panic!("failed to write into {}: {error}", self.findings.path().display()));
        Found { finding, file, is_old: false }
    }

    /// Fails the test, if something is wrong.
    #[track_caller]
    pub(crate) fn report(&self, found: Option<Found>) {
        if let Some(found) = found {
            panic!("{}", self.tell(&found));
        }
    }

    fn tell(&self, Found { finding, file, is_old }: &Found) -> String {
        let Finding { flaw, message, payload, found_bytes } = finding;
        let task = self.subject.task();
        let from = if payload.len() < *found_bytes { format!(", made of {found_bytes}") } else { String::new() };
        let kept = match is_old {
            true => "an earlier run found it and kept it in",
            false => "it is kept, and the next run begins with it, in",
        };
        let again = match flaw {
            Flaw::NonDeterministic => "to see it, run this twice and compare",
            Flaw::Unexpected => "to see how it ends, where this test expects something else",
            _ => "to see it again",
        };
        format!(
            "the task `{task}` is not fit for every payload: {flaw}\n\n  payload  {} ({} bytes{from})\n  {flaw}: {}\n\n\
             {kept} {file}\n{again}: {command}\n\
             (seed {seed}; {SEED} and {SECONDS} choose another, and how long to look)",
            show::payload(payload),
            payload.len(),
            show::text(message),
            file = file.display(),
            command = self.again.command(file),
            seed = self.plan.seed,
        )
    }
}

/// What the test says, else what the task asks for, else what a host gives.
fn limits(policy: &TaskPolicy, guest: &Guest) -> Limits {
    let host = Limits::default();
    Limits {
        memory: guest.memory.map(|size| size.as_u64()).or(policy.memory).unwrap_or(host.memory),
        timeout: guest.timeout.or(policy.timeout()).unwrap_or(host.timeout),
        fuel: guest.fuel.or(policy.fuel),
        ..host
    }
}

/// A number in the environment.
fn variable(name: &str) -> anyhow::Result<Option<u64>> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| anyhow::anyhow!("{name} is `{text}`, which is no number"))
}

fn failed_to_read(folder: &Path) -> String {
    format!("failed to read the payloads in {}", folder.display())
}
