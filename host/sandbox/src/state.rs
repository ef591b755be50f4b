//! What the host knows of one attempt while it runs: the payload going in, what comes out, the walls, and why it ended.

use std::time::{Duration, Instant};

use afresh_protocol::abi::Verdict;
use wasmtime::Memory;

use crate::cancel::{Cancel, Reason};
use crate::check::ModuleKind;
use crate::environment::Strings;
use crate::error::SandboxError;
use crate::excerpt::Excerpt;
use crate::files::Files;
use crate::limits::Limits;
use crate::logbook::{Lines, LogBook};
use crate::memory::MemoryWall;
use crate::outbox::Gate;
use crate::report::Call;
use crate::secrets::Redactor;
use crate::wasi::Wasi;
use crate::watch::Watch;

/// Bytes that are worked on between two looks at the deadline: a few milliseconds where each is a line of its own.
const CHUNK: usize = 64 << 10;

/// One attempt.
pub(crate) struct State {
    pub(crate) kind: ModuleKind,
    pub(crate) wasi: Wasi,
    /// The files it was granted, if any.
    pub(crate) files: Option<Files>,
    pub(crate) arguments: Strings,
    pub(crate) environment: Strings,
    pub(crate) payload: Vec<u8>,
    /// How far a plain command has read its stdin.
    pub(crate) read: usize,
    pub(crate) reply: Vec<u8>,
    /// Bytes of the reply, including those that went over its limit.
    pub(crate) reply_bytes: u64,
    /// The text of an SDK module's error, or a plain command's stderr.
    pub(crate) error: Excerpt,
    pub(crate) verdict: Option<(Verdict, Option<Duration>)>,
    pub(crate) log: LogBook,
    /// The last progress, from 0 to 1.
    pub(crate) progress: Option<f64>,
    pub(crate) gate: Gate,
    pub(crate) memory: MemoryWall,
    /// The guest's memory itself, once there is an instance: a start function runs before.
    pub(crate) linear: Option<Memory>,
    pub(crate) limits: Limits,
    /// Why the host ended the attempt, where it did.
    pub(crate) end: Option<End>,
    /// The guest's monotonic clock starts here, and so does the time limit.
    pub(crate) started: Instant,
    stdout: Lines,
    stderr: Lines,
    /// What keeps secrets out of these two, and out of the error's text.
    from_stdout: Redactor,
    from_stderr: Redactor,
    from_error: Redactor,
    cancel: Cancel,
    /// Who looks on, if anybody.
    watch: Option<Watch>,
}

/// Why the host ended an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Cancelled(Reason),
    TimedOut,
    /// The reply went over its limit.
    LongReply,
    /// A host function was called in a way it must not be; a sentence about the guest.
    Misuse(String),
}

/// Travels through wasmtime when the host ends an attempt; the reason is in [`State::end`].
#[derive(Debug, thiserror::Error)]
#[error("ended by the host")]
pub(crate) struct Stop;

impl State {
    /// # Errors
    /// When a folder that was granted cannot be opened.
    pub(crate) fn new(kind: ModuleKind, call: Call, limits: &Limits, cancel: &Cancel) -> Result<Self, SandboxError> {
        let (wasi, files) = Wasi::open(&call)?;
        let (mut arguments, mut environment) = (Strings::default(), call.env);
        arguments.push(call.task);
        call.secrets.named().iter().for_each(|(name, secret)| environment.set(name, secret.expose()));
        let redactor = || Redactor::new(&call.secrets);
        let (from_stdout, from_stderr, from_error) = (redactor(), redactor(), redactor());
        Ok(Self {
            kind,
            wasi,
            files,
            arguments,
            environment: environment.into_strings(),
            payload: call.payload,
            read: 0,
            reply: Vec::new(),
            reply_bytes: 0,
            error: Excerpt::new(limits.error),
            verdict: None,
            log: LogBook::new(limits.log, call.watch.clone(), call.secrets),
            progress: None,
            gate: Gate::new(call.outbox, limits),
            memory: MemoryWall::new(limits.memory),
            linear: None,
            limits: limits.clone(),
            end: None,
            started: Instant::now(),
            stdout: Lines::default(),
            stderr: Lines::default(),
            from_stdout,
            from_stderr,
            from_error,
            cancel: cancel.clone(),
            watch: call.watch,
        })
    }

    /// There is an instance, and this is its memory.
    pub(crate) fn has_memory(&mut self, memory: Memory, base: *const u8, bytes: usize) {
        self.linear = Some(memory);
        self.memory.huge.begin(base, bytes);
    }

    /// Looks at the cancel flag and the deadline.
    pub(crate) fn check(&mut self) -> Result<(), Stop> {
        if let Some(reason) = self.cancel.reason() {
            return Err(self.stop(End::Cancelled(reason)));
        }
        if self.left().is_zero() {
            return Err(self.stop(End::TimedOut));
        }
        Ok(())
    }

    /// What is left of the time limit.
    pub(crate) fn left(&self) -> Duration {
        self.limits.timeout.saturating_sub(self.started.elapsed())
    }

    /// Ends the attempt; the first reason stands.
    pub(crate) fn stop(&mut self, end: End) -> Stop {
        self.end.get_or_insert(end);
        Stop
    }

    /// Parks the guest, but not past its deadline, and not when it is cancelled.
    pub(crate) fn pause(&mut self, span: Duration) -> Result<(), Stop> {
        self.cancel.sleep(span.min(self.left()));
        self.check()
    }

    /// The guest is that far; what is not a number is ignored.
    pub(crate) fn set_progress(&mut self, fraction: f64) {
        if fraction.is_nan() {
            return;
        }
        let fraction = fraction.clamp(0.0, 1.0);
        self.progress = Some(fraction);
        if let Some(watch) = &self.watch {
            watch.progress(fraction);
        }
    }

    /// Adds to the reply.
    pub(crate) fn write_reply(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.reply_bytes += bytes.len() as u64;
        if bytes.len() > self.limits.output.saturating_sub(self.reply.len()) {
            return Err(self.stop(End::LongReply));
        }
        self.reply.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds to the error's text.
    pub(crate) fn write_error(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        for chunk in bytes.chunks(CHUNK) {
            self.check()?;
            self.from_error.push(chunk, &mut |text| self.error.push(text));
        }
        Ok(())
    }

    /// What the guest writes to its stdout.
    pub(crate) fn write_stdout(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.kind == ModuleKind::Command {
            return self.write_reply(bytes);
        }
        for chunk in bytes.chunks(CHUNK) {
            self.check()?;
            self.from_stdout.push(chunk, &mut |text| self.stdout.push(text, &mut self.log));
        }
        Ok(())
    }

    /// What the guest writes to its stderr.
    pub(crate) fn write_stderr(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        for chunk in bytes.chunks(CHUNK) {
            self.check()?;
            self.from_stderr.push(chunk, &mut |text| {
                self.stderr.push(text, &mut self.log);
                if self.kind == ModuleKind::Command {
                    self.error.push(text);
                }
            });
        }
        Ok(())
    }

    /// Fills `bytes` with random ones.
    pub(crate) fn fill_random(&mut self, bytes: &mut [u8]) -> Result<(), Stop> {
        for chunk in bytes.chunks_mut(CHUNK) {
            self.check()?;
            rand::fill(chunk);
        }
        Ok(())
    }

    /// The guest says no more: what was held back comes out, and lines without a line end are lines too.
    pub(crate) fn finish_texts(&mut self) {
        self.from_error.finish(&mut |text| self.error.push(text));
        self.from_stdout.finish(&mut |text| self.stdout.push(text, &mut self.log));
        self.from_stderr.finish(&mut |text| {
            self.stderr.push(text, &mut self.log);
            if self.kind == ModuleKind::Command {
                self.error.push(text);
            }
        });
        self.stdout.finish(&mut self.log);
        self.stderr.finish(&mut self.log);
    }
}
