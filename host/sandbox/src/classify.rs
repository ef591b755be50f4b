//! From what happened to one [`Outcome`]: the only place where that is decided.
//!
//! The order is: what the host did; then the lack of memory, where the guest gave up on it; then what the guest says of
//! itself; then its exit code; then traps.

use std::time::Duration;

use afresh_protocol::abi::{Verdict, exit};
use afresh_protocol::{ErrorRecord, Outcome};
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use crate::attempt::Ended;
use crate::cancel::Reason;
use crate::check::ModuleKind;
use crate::error::{SandboxError, bounded};
use crate::memory::Refused;
use crate::state::{End, State};

/// The longest wait a guest may ask for.
const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// The wait of a guest that asks to be run later without saying when.
const DEFAULT_SNOOZE: Duration = Duration::from_secs(1);

/// How the guest's own code came to its end.
enum Finish {
    /// `_start` returned, or the guest left with a code.
    Exit(i32),
    /// It gave up by itself, as abort and panic do, or never had the room to start; a sentence's end that says so.
    Abort(&'static str),
    /// It was stopped; a sentence's end that says by what.
    Trap(String),
}

impl Finish {
    /// Whether the guest may have come to it because it was refused memory: it gave up, and did not run into a fault. An
    /// allocator that gets no memory aborts; a division by zero is a fault of its own, whatever was refused before.
    fn gave_up(&self) -> bool {
        match self {
            Self::Exit(code) => *code != exit::OK,
            Self::Abort(_) => true,
            Self::Trap(_) => false,
        }
    }
}

/// What became of the attempt.
///
/// # Errors
/// When the instance could not be made for a reason that is ours.
pub(crate) fn classify(result: Result<(), Ended>, state: State, wall: Duration) -> Result<Outcome, SandboxError> {
    if let Some(outcome) = ended_by_host(&state, wall) {
        return Ok(outcome);
    }
    let finish = match finish(result, &state) {
        Ok(finish) => finish,
        Err(Unfinished::OutOfFuel) => {
            let fuel = state.limits.fuel.unwrap_or(u64::MAX);
            return Ok(Outcome::OutOfFuel(record("out_of_fuel", format!("used up its fuel of {fuel}"))));
        }
        Err(Unfinished::Ours(text)) => return Err(SandboxError::Instantiate(text)),
    };
    let spoke = !matches!(state.verdict, None | Some((Verdict::Panicked, _)));
    if let Some(refused) = state.memory.refused
        && finish.gave_up()
        && !spoke
    {
        return Ok(Outcome::OutOfMemory(record("out_of_memory", out_of_memory(refused))));
    }
    Ok(match (state.verdict, finish) {
        (Some((verdict, delay)), _) => spoken(verdict, delay, state),
        (None, Finish::Exit(exit::OK)) => Outcome::Succeeded(state.reply),
        (None, Finish::Exit(code)) => exited(code, state),
        (None, Finish::Abort(text)) => Outcome::Trapped(with_stderr("trapped", text, state)),
        (None, Finish::Trap(text)) => Outcome::Trapped(with_stderr("trapped", &text, state)),
    })
}

/// The outcome that belongs to a reason.
pub(crate) fn host_ended(reason: Reason) -> Outcome {
    match reason {
        Reason::Cancelled => Outcome::Cancelled,
        Reason::Shutdown => Outcome::Interrupted,
        Reason::LeaseLost => Outcome::Lost(record("lost", "the lease was lost: another worker may have the job")),
    }
}

fn ended_by_host(state: &State, wall: Duration) -> Option<Outcome> {
    Some(match state.end.as_ref()? {
        End::Cancelled(reason) => host_ended(*reason),
        End::TimedOut => Outcome::TimedOut(record(
            "timed_out",
            format!("ran into its time limit of {:?}, ended after {wall:.0?}", state.limits.timeout),
        )),
        End::LongReply => Outcome::OverLimit(record(
            "over_limit",
            format!(
                "its reply has {} bytes or more, the limit is {}; reply with less, or raise the limit",
                state.reply_bytes, state.limits.output
            ),
        )),
        End::Misuse(_) => return None,
    })
}

/// Why there is no [`Finish`].
enum Unfinished {
    OutOfFuel,
    /// No instance could be made, and it is not the guest's doing.
    Ours(String),
}

fn finish(result: Result<(), Ended>, state: &State) -> Result<Finish, Unfinished> {
    if let Some(End::Misuse(text)) = &state.end {
        return Ok(Finish::Trap(text.clone()));
    }
    let (error, instantiating) = match result {
        Ok(()) => return Ok(Finish::Exit(exit::OK)),
        Err(Ended::Instantiation(error)) => (error, true),
        Err(Ended::Guest(error)) => (error, false),
    };
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return Ok(Finish::Exit(*code));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Err(Unfinished::OutOfFuel),
        Some(Trap::UnreachableCodeReached) => Ok(Finish::Abort("executed `unreachable`, as an abort or a panic does")),
        Some(trap) => Ok(Finish::Trap(trap_text(*trap).to_owned())),
        None if instantiating && state.memory.refused.is_some() => Ok(Finish::Abort("had no room to start in")),
        // A start function is the guest's code, and runs while the instance is made.
        None if instantiating && !state.wasi.was_called() => Err(Unfinished::Ours(bounded(error.root_cause()))),
        // A function of wasmtime-wasi refused what it was called with, most likely a pointer.
        None => Ok(Finish::Trap(format!("was stopped by a host function: {}", bounded(error.root_cause())))),
    }
}

/// What a trap means, in our words: wasmtime's own text can quote names out of the module, of any length.
fn trap_text(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "ran out of stack: its recursion is too deep",
        Trap::MemoryOutOfBounds => "accessed memory outside its bounds",
        Trap::TableOutOfBounds => "accessed a table outside its bounds",
        Trap::IndirectCallToNull => "called a function pointer that is null",
        Trap::BadSignature => "called a function pointer of another type",
        Trap::IntegerOverflow => "overflowed an integer division or conversion",
        Trap::IntegerDivisionByZero => "divided an integer by zero",
        Trap::BadConversionToInteger => "converted a number that is not one to an integer",
        Trap::Interrupt => "was interrupted",
        _ => "trapped",
    }
}

fn spoken(verdict: Verdict, delay: Option<Duration>, state: State) -> Outcome {
    let delay = delay.map(|delay| delay.min(MAX_DELAY));
    let said = |kind: &str, silent: &str| match state.error.is_empty() {
        true => record(kind, silent),
        false => state.error.into_record(kind, ""),
    };
    match verdict {
        Verdict::Failed => Outcome::Failed { error: said("failed", "failed without saying why"), retry_after: delay },
        Verdict::Rejected => Outcome::Rejected(said("rejected", "rejected the job without saying why")),
        Verdict::BadPayload => Outcome::Rejected(said("bad_payload", "could not read its payload")),
        Verdict::Panicked => Outcome::Panicked(said("panicked", "panicked without a message")),
        Verdict::Snoozed => Outcome::Snoozed(delay.unwrap_or(DEFAULT_SNOOZE)),
    }
}

fn exited(code: i32, state: State) -> Outcome {
    let text = format!("exited with code {code}");
    match code {
        exit::REJECTED => Outcome::Rejected(with_stderr("rejected", &text, state)),
        _ => Outcome::Failed { error: with_stderr("failed", &text, state), retry_after: None },
    }
}

/// A sentence of ours, and a plain command's stderr behind it.
fn with_stderr(kind: &str, text: &str, state: State) -> ErrorRecord {
    if state.kind == ModuleKind::Sdk || state.error.is_empty() {
        return record(kind, text);
    }
    state.error.into_record(kind, &format!("{text}: "))
}

fn out_of_memory(Refused { asked, has, limit }: Refused) -> String {
    format!("asked for {} of memory, has {}, the limit is {}", size(asked), size(has), size(limit))
}

/// Bytes for people; memory comes in pages of 64 KiB.
fn size(bytes: usize) -> String {
    match bytes {
        0 => "none".to_owned(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

fn record(kind: &str, text: impl Into<String>) -> ErrorRecord {
    ErrorRecord::new(kind, text)
}
