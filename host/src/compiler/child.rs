//! The process that compiles one module, as its parent sees it: started, waited for, killed when its time is up. While it
//! works it costs the worker a few kilobytes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::COMPILE_VERB;
use super::bounds::{Bounds, Limit};
use super::inside::REFUSED;

/// Bytes of what the child says that are kept; its sentences are shorter.
const MOST_SAID: u64 = 4 << 10;

/// How the process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The code has been written.
    Compiled,
    /// The module is refused, and the sentence that says why.
    Refused(String),
    /// Compiling it took more than it may.
    Over(Limit),
    /// The system had no more memory or no more threads to give: because of the limit, or because it had none.
    OutOfMeans,
    /// The compiler itself came to grief.
    Crashed(String),
}

impl End {
    /// The sentence for people.
    pub fn sentence(&self, bounds: &Bounds) -> String {
        match self {
            Self::Compiled => "it was compiled".to_owned(),
            Self::Refused(why) => why.clone(),
            Self::Over(limit) => bounds.sentence(*limit),
            Self::OutOfMeans => format!("{}; or this machine has no more to give", bounds.sentence(Limit::Memory)),
            Self::Crashed(how) => format!("the compiler's process {how}; put the file there again to try once more"),
        }
    }

    /// Whether the same would happen again: not where this machine may have been too busy, or short of memory.
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Over(Limit::ProcessorTime | Limit::Memory | Limit::Code))
    }
}

/// Compiles `wasm`, which must be of this digest, in a child process within `bounds`; the code is written to `code`.
///
/// # Errors
/// When the process cannot be started or waited for.
pub fn compile(program: &Path, wasm: File, digest: &str, code: File, bounds: Bounds) -> anyhow::Result<End> {
    // The kernel kills it with the thread that starts it, which is this one, and this one waits for it.
    let mut child = Command::new(program)
        .args([COMPILE_VERB, "--quiet", "--digest", digest, "--parent", &std::process::id().to_string()])
        .args(["--seconds", &bounds.processor_seconds().to_string(), "--memory", &bounds.memory.to_string()])
        .env_clear()
        .stdin(wasm)
        .stdout(code)
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start the compiler's process")?;
    let errors = child.stderr.take().context("the compiler's process has no standard error")?;
    let pid = Pid::from_child(&child);
    thread::scope(|scope| {
        let said = scope.spawn(move || read_bounded(errors));
        let (ended, end) = mpsc::channel();
        // Leaves the child to be waited for once more, so that its number is still its own when it has to be killed.
        scope.spawn(move || {
            let _ =
                rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
            let _ = ended.send(());
        });
        let in_time = end.recv_timeout(bounds.wall_time).is_ok();
        if !in_time {
            child.kill().context("failed to end the compiler's process")?;
        }
        let status = child.wait().context("failed to wait for the compiler's process")?;
        let said = said.join().unwrap_or_default();
        Ok(if in_time { judge(status, &said) } else { End::Over(Limit::WallTime) })
    })
}

/// The first of what the child says; the rest is read, so that it never waits for us, and dropped.
fn read_bounded(mut errors: impl Read) -> String {
    let mut said = Vec::new();
    let _ = errors.by_ref().take(MOST_SAID).read_to_end(&mut said);
    let _ = io::copy(&mut errors, &mut io::sink());
    String::from_utf8_lossy(&said).trim().trim_start_matches("error: ").to_owned()
}

fn judge(status: ExitStatus, said: &str) -> End {
    let signal = status.signal().and_then(Signal::from_named_raw);
    match signal {
        _ if status.success() => End::Compiled,
        Some(Signal::XCPU) => End::Over(Limit::ProcessorTime),
        Some(Signal::XFSZ) => End::Over(Limit::Code),
        Some(Signal::ABORT) if said.contains(NO_MEMORY) => End::Over(Limit::Memory),
        Some(Signal::ABORT) if said.contains("has overflowed its stack") => {
            End::Refused("compiling it takes more stack than there is: something in it is nested too deeply".to_owned())
        }
        Some(Signal::KILL) => End::Crashed("was killed; is this machine short of memory?".to_owned()),
        Some(signal) => End::Crashed(format!("was ended by signal {}", signal.as_raw())),
        None if status.code() == Some(REFUSED.into()) => End::Refused(said.chars().take(1_000).collect()),
        None if is_out_of_means(said) => End::OutOfMeans,
        None if said.is_empty() => End::Crashed(format!("ended with {status}")),
        None => End::Crashed(format!("ended: {}", said.chars().take(1_000).collect::<String>())),
    }
}

/// The last words of an allocator.
const NO_MEMORY: &str = "memory allocation of ";

/// Whether these are the last words of a process that gets no more of the system: of the engine that maps memory, of a
/// reader, or of a thread that does not start.
fn is_out_of_means(said: &str) -> bool {
    const WORDS: [&str; 4] = ["out of memory", "os error 12", "kind: OutOfMemory", "code: 11, kind: WouldBlock"];
    WORDS.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_ended_a_compiler_is_known() {
        let signal = |signal: Signal| ExitStatus::from_raw(signal.as_raw());
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        let refused = |text: &str| End::Refused(text.to_owned());
        for (status, said, end) in [
            (code(0), "", End::Compiled),
            (code(3), "the module is not valid here", refused("the module is not valid here")),
            (signal(Signal::XCPU), "", End::Over(Limit::ProcessorTime)),
            (signal(Signal::XFSZ), "", End::Over(Limit::Code)),
            (signal(Signal::ABORT), "memory allocation of 1024 bytes failed", End::Over(Limit::Memory)),
            (code(1), "failed to read the module: out of memory", End::OutOfMeans),
            (code(1), "mmap failed: Cannot allocate memory (os error 12)", End::OutOfMeans),
        ] {
            assert_eq!(judge(status, said), end, "{status} {said:?}");
        }
        // None of these says anything of the module, so none is remembered.
        assert!(!End::OutOfMeans.is_for_good());
        for (status, said, says) in [
            (signal(Signal::KILL), "", "short of memory"),
            (signal(Signal::SEGV), "", "signal 11"),
            (code(101), "", "exit status: 101"),
            (code(1), "failed to write the code: No space left on device", "No space left"),
        ] {
            let end = judge(status, said);
            assert!(matches!(&end, End::Crashed(how) if how.contains(says)) && !end.is_for_good(), "{end:?}");
        }
    }

    #[test]
    fn of_what_a_compiler_says_no_more_than_a_sentence_is_kept() {
        assert_eq!(read_bounded(io::repeat(b'x').take(10 << 20)).len(), 4 << 10);
    }
}
