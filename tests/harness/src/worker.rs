//! A worker process: `worker(program).tasks(&folder).broker(&url).slots(2).lease("2s").start()`. Its log is read as
//! JSON while it runs, so that a test waits for a moment the worker tells of, and never sleeps.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{SOON, wait_until};

/// A worker of this program (`env!("CARGO_BIN_EXE_afresh")`) that is not started yet: with a clean environment, and a log
/// that tells every attempt.
pub fn worker(program: impl AsRef<Path>) -> Builder {
    let mut command = Command::new(program.as_ref());
    command.args(["worker", "--log-format", "json", "--verbose"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AFRESH_")) {
        command.env_remove(name);
    }
    Builder(command)
}

/// A worker that is not started yet.
pub struct Builder(Command);

impl Builder {
    /// In this folder: `afresh.toml` and the cache are there.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// With the task modules of this folder.
    #[must_use]
    pub fn tasks(self, folder: &Path) -> Self {
        let folder = folder.to_str().expect("a test's folder has a plain name").to_owned();
        self.flag("--tasks", &folder)
    }

    /// On the broker at this URL.
    #[must_use]
    pub fn broker(self, url: &str) -> Self {
        self.flag("--broker", url)
    }

    /// With so many slots.
    #[must_use]
    pub fn slots(self, slots: usize) -> Self {
        self.flag("--concurrency", &slots.to_string())
    }

    /// With leases of this duration.
    #[must_use]
    pub fn lease(self, duration: &str) -> Self {
        self.flag("--lease", duration)
    }

    /// Serving these queues, separated by commas.
    #[must_use]
    pub fn queues(self, queues: &str) -> Self {
        self.flag("--queues", queues)
    }

    /// Giving attempts so long after a signal.
    #[must_use]
    pub fn shutdown_timeout(self, duration: &str) -> Self {
        self.flag("--shutdown-timeout", duration)
    }

    /// With so much memory for all guests together.
    #[must_use]
    pub fn memory_budget(self, size: &str) -> Self {
        self.flag("--memory-budget", size)
    }

    /// Until nothing is left to do.
    #[must_use]
    pub fn burst(self) -> Self {
        self.switch("--burst")
    }

    /// With a switch of the program's.
    #[must_use]
    pub fn switch(mut self, name: &str) -> Self {
        self.0.arg(name);
        self
    }

    /// With this variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    fn flag(mut self, name: &str, value: &str) -> Self {
        self.0.args([name, value]);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If the program cannot be run.
    pub fn start(mut self) -> Worker {
        self.0.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = self.0.spawn().expect("the program can be run");
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let (log, sink) = (child.stderr.take().expect("its stderr is piped"), events.clone());
        let reader = thread::spawn(move || read(log, &sink));
        Worker { child, events, reader: Some(reader) }
    }
}

/// A running worker. Dropping it kills it.
pub struct Worker {
    child: Child,
    events: Arc<Mutex<Vec<Event>>>,
    reader: Option<thread::JoinHandle<()>>,
}

/// One line of a worker's log: a JSON object, or (an error on its way out) plain text.
#[derive(Clone, Debug)]
pub struct Event(Value);

impl Event {
    /// What it says.
    pub fn message(&self) -> &str {
        self.0["message"].as_str().unwrap_or_default()
    }

    /// A field as text; numbers as they are written, and nothing where there is none.
    pub fn field(&self, name: &str) -> String {
        match &self.0[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// Whether it says these words, in its message or a field.
    pub fn says(&self, words: &str) -> bool {
        self.0.as_object().is_some_and(|fields| fields.keys().any(|name| self.field(name).contains(words)))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Worker {
    /// Waits until it says these words; answers the first line that does.
    ///
    /// # Panics
    /// If it has not said them soon; the message holds all it did say.
    #[track_caller]
    pub fn says(&self, words: &str) -> Event {
        self.tells(words, |event| event.says(words))
    }

    /// Waits until an attempt of this job has started: a slot has it, and the guest is about to run.
    ///
    /// # Panics
    /// As for [`Worker::says`].
    #[track_caller]
    pub fn starts(&self, job: &impl fmt::Display) -> Event {
        let job = job.to_string();
        self.tells(&format!("that an attempt of {job} started"), |event| {
            event.message() == "attempt started" && event.field("job") == job
        })
    }

    /// Waits for a line; `what` names it for the person who reads that it never came.
    ///
    /// # Panics
    /// As for [`Worker::says`].
    #[track_caller]
    pub fn tells(&self, what: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        let mut found = None;
        let _ = wait_until(SOON, || {
            found = self.events().into_iter().find(&is_it);
            found.is_some()
        });
        found.unwrap_or_else(|| panic!("the worker does not say {what}; it says:\n{}", self.log()))
    }

    /// Everything it has said so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many lines hold these words so far.
    pub fn count(&self, words: &str) -> usize {
        self.events().iter().filter(|event| event.says(words)).count()
    }

    /// Everything it has said so far, for a panic's message.
    pub fn log(&self) -> String {
        self.events().iter().map(|event| format!("{event}\n")).collect()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by SIGKILL, as a crash or the kernel would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it in its tracks, as a machine that is paused does.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits until it ends; answers its exit code and all it said is there.
    ///
    /// # Panics
    /// If it does not end soon, or was killed.
    #[track_caller]
    pub fn ends(&mut self) -> i32 {
        let status = self.status();
        status.code().unwrap_or_else(|| panic!("the worker was killed; it says:\n{}", self.log()))
    }

    /// Waits until it is gone by a signal that nobody here sent; answers which.
    ///
    /// # Panics
    /// If it does not end soon, or ended by itself.
    #[track_caller]
    pub fn dies(&mut self) -> i32 {
        let status = self.status();
        status.signal().unwrap_or_else(|| panic!("the worker ended with {status}; it says:\n{}", self.log()))
    }

    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        let mut status = None;
        let _ = wait_until(SOON, || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        let status = status.unwrap_or_else(|| panic!("the worker does not end; it says:\n{}", self.log()));
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        status
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child has a process id");
        kill_process(pid, signal).expect("the worker still runs");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("worker {} said:\n{}", self.child.id(), self.log());
        }
    }
}

fn read(log: impl Read, events: &Mutex<Vec<Event>>) {
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        let value = serde_json::from_str(&line).unwrap_or_else(|_| serde_json::json!({ "message": line }));
        events.lock().unwrap_or_else(PoisonError::into_inner).push(Event(value));
    }
}
