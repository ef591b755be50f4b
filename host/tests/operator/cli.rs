//! The program on a broker of its own: `Cli::sqlite().run(&["job", "ls"]).ok()`.

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use afresh_harness::{RedisServer, SOON, wait_until};
use afresh_protocol::{ErrorRecord, Outcome, Usage};
use afresh_queue::{
    AttemptRecord, Beat, Broker, BrokerUrl, Clock, Counters, Extended, JobId, JobLog, Lease, LeaseRequest, LoggedLine,
    Note, Retention, Settle, Settlement, Timestamp,
};
use tempfile::TempDir;

/// Text that would do harm on a terminal: colours, a title, a carriage return, a mark that turns the text round.
pub(crate) const HOSTILE: &str = "\u{1b}[31mred\u{1b}]0;title\u{7}\r\u{202e}over\u{9b}2J";

/// The program in a folder of its own, on a broker of its own.
pub(crate) struct Cli {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    redis: Option<RedisServer>,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Cli {
    /// On a SQLite file that is not there yet.
    pub(crate) fn sqlite() -> Self {
        let folder = TempDir::with_prefix("afresh-cli-").unwrap();
        let url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        Self { folder, url, redis: None }
    }

    /// On whatever is at this URL.
    pub(crate) fn on(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::sqlite() }
    }

    /// On an empty Redis.
    pub(crate) fn redis() -> Self {
        let redis = RedisServer::start();
        Self { url: redis.url(), redis: Some(redis), ..Self::sqlite() }
    }

    /// The Redis server.
    pub(crate) fn server(&self) -> &RedisServer {
        self.redis.as_ref().expect("this one is on Redis")
    }

    /// Runs the program with these arguments and nothing on standard input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, b"")
    }

    /// Runs the program with these arguments and this on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &[u8]) -> Run {
        let mut child = self.start(arguments);
        // A program that does not want to read all of it may close its end.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        Run::of(child.wait_with_output().unwrap())
    }

    /// Starts the program and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// The program with a clean environment, in its own folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afresh"));
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AFRESH_")) {
            command.env_remove(name);
        }
        command.env("AFRESH_BROKER", &self.url);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Enqueues a job with this id.
    pub(crate) fn enqueue(&self, task: &str, id: &str) {
        assert_eq!(self.run(&["enqueue", task, "--id", id]).ok(), id);
    }

    /// A job as `job show --json` prints it.
    pub(crate) fn show(&self, id: &str) -> serde_json::Value {
        serde_json::from_str(&self.run(&["job", "show", id, "--json"]).ok()).unwrap()
    }

    /// The state of a job.
    pub(crate) fn state(&self, id: &str) -> String {
        self.show(id)["state"].as_str().unwrap().to_owned()
    }

    /// The ids that a listing prints, newest first.
    pub(crate) fn ids(&self, listing: &[&str]) -> Vec<String> {
        let jobs: Vec<serde_json::Value> =
            serde_json::from_str(&self.run(&[listing, &["--json"]].concat()).ok()).unwrap();
        jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    }

    /// A file in the program's folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// A job's payload, as the broker has it.
    pub(crate) fn payload(&self, id: &str) -> Vec<u8> {
        let id: JobId = id.parse().unwrap();
        self.on_broker(async |broker| broker.payload(&id).await.unwrap().expect("the job is there"))
    }

    /// Does a worker's part for the next job: leases it, and settles it as succeeded or dead with this outcome.
    pub(crate) fn work(&self, outcome: Outcome) {
        self.settle(&self.lease(), outcome);
    }

    /// Does a worker's part up to the start: leases the next job, and keeps the lease.
    pub(crate) fn lease(&self) -> Lease {
        let mut lease = None;
        let leased = wait_until(SOON, || {
            lease = self.lease_if_any();
            lease.is_some()
        });
        assert!(leased, "there is no job to lease in {}", self.url);
        lease.unwrap()
    }

    /// Leases the next job, if there is one that may start.
    pub(crate) fn lease_if_any(&self) -> Option<Lease> {
        self.on_broker(async |broker| {
            broker.promote(&["default".to_owned()], &Retention::default()).await.unwrap();
            broker.lease(&lease_request()).await.unwrap().pop()
        })
    }

    /// Notes how far a leased job is, and one more line that it logged.
    pub(crate) fn note(&self, lease: &Lease, progress: f64, text: &str) {
        self.on_broker(async |broker| {
            let before = broker.log(&lease.job.id).await.unwrap();
            let (attempt, number) = (lease.job.counters.starts, before.lines().len() as u64 + 1);
            let mut log = JobLog::default();
            let line = LoggedLine { attempt, number, at: Timestamp::now(), level: "info".into(), text: text.into() };
            log.extend([line]);
            let note = Note { lease: lease.reference(), progress: Some(progress), log };
            broker.note(&[note]).await.unwrap();
        });
    }

    /// Waits until the worker of a leased job is asked to end it.
    pub(crate) fn is_cancelled(&self, lease: &Lease) -> bool {
        let beat = Beat { lease: lease.reference(), begun: true };
        let beats = [beat];
        wait_until(SOON, || {
            let extended = self.on_broker(async |broker| broker.extend(&beats, Duration::from_secs(60)).await.unwrap());
            extended == [Extended::Cancelling]
        })
    }

    /// Settles a leased job as succeeded, cancelled or dead with this outcome.
    pub(crate) fn settle(&self, lease: &Lease, outcome: Outcome) {
        self.on_broker(async |broker| broker.settle(&[settlement(lease, &outcome)]).await.unwrap());
    }

    /// Asks the broker itself.
    pub(crate) fn on_broker<T>(&self, call: impl AsyncFn(&dyn Broker) -> T) -> T {
        let url: BrokerUrl = self.url.parse().unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let broker = afresh_queue::open(&url, Clock::Broker).await.unwrap();
            call(&*broker).await
        })
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("what goes to stderr is text");
        Self { code: output.status.code().expect("it ended by itself"), stdout: output.stdout, stderr }
    }

    /// It went well; what it printed, without the last line end.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        String::from_utf8(self.stdout).unwrap().trim_end().to_owned()
    }

    /// It failed with this code, and says so in one sentence that holds all of these words.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        let errors: Vec<_> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "one sentence: {}", self.stderr);
        for word in words {
            assert!(errors[0].contains(word), "{:?} does not say {word:?}", errors[0]);
        }
    }
}

/// Runs a test on both brokers.
pub(crate) fn on_each_broker(test: impl Fn(&Cli)) {
    test(&Cli::sqlite());
    test(&Cli::redis());
}

/// A failure of the task with this text.
pub(crate) fn failed(message: &str) -> Outcome {
    Outcome::Failed { error: ErrorRecord::new("failed", message), retry_after: None }
}

/// Whether `text` may go to a terminal.
pub(crate) fn is_harmless(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text).expect("it is text");
    !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}')
}

fn lease_request() -> LeaseRequest {
    LeaseRequest {
        queues: vec!["default".to_owned()],
        max: 1,
        begin: 1,
        max_bytes: 1 << 20,
        worker: HOSTILE.to_owned(),
        duration: Duration::from_secs(60),
    }
}

fn settlement(lease: &Lease, outcome: &Outcome) -> Settle {
    let mut history = lease.job.history.clone();
    history.push(AttemptRecord {
        number: lease.job.counters.starts,
        worker: HOSTILE.to_owned(),
        module: None,
        started_at: Some(lease.since),
        finished_at: Timestamp::now(),
        outcome: outcome.kind(),
        error: outcome.error().cloned(),
        usage: Usage::default(),
    });
    let settlement = match outcome.clone() {
        Outcome::Succeeded(reply) => Settlement::Complete { reply, keep: Duration::from_secs(60) },
        Outcome::Cancelled => Settlement::Cancel,
        _ => Settlement::Bury,
    };
    let counters = Counters { starts: lease.job.counters.starts, ..Counters::default() };
    let history = history.into();
    Settle { lease: lease.reference(), settlement, counters, history, outcome: outcome.kind(), jobs: Vec::new() }
}
