//! What a person sees while the fuzzer runs, and what is written meanwhile: a run that is killed loses nothing it found.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh_fuzz::{Finding, Folder, Listener, Plan, Tally};
use afresh_sandbox::{Cancel, Reason};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::escaped;

/// How often the bar is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Characters of a message that one line has.
const LINE: usize = 160;

pub(super) struct Watcher<'a> {
    findings: &'a Folder,
    is_quiet: bool,
    bar: ProgressBar,
    begun: Instant,
    told: Mutex<Instant>,
    cancel: Cancel,
    /// Why a finding could not be written, the first time.
    trouble: Mutex<Option<anyhow::Error>>,
}

impl<'a> Watcher<'a> {
    /// One that ends the run by `cancel` where it cannot write.
    pub(super) fn new(plan: &Plan, findings: &'a Folder, is_quiet: bool, cancel: Cancel) -> Self {
        // Without a terminal it hides by itself.
        let target = if is_quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(plan.time.map(|time| time.as_secs()), target);
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} s  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let begun = Instant::now();
        let (told, trouble) = (Mutex::new(begun), Mutex::new(None));
        Self { findings, is_quiet, bar, begun, told, cancel, trouble }
    }

    /// Takes the bar away.
    ///
    /// # Errors
    /// When something could not be written.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        self.trouble.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn keep(&self, finding: &Finding) -> Option<PathBuf> {
        let kept = self.findings.keep(finding.flaw.as_str(), &finding.payload);
        let kept = kept.with_context(|| format!("failed to write a payload into {}", self.findings.path().display()));
        match kept {
            Ok(path) => Some(path),
            Err(error) => {
                self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                self.cancel.cancel(Reason::Cancelled);
                None
            }
        }
    }
}

impl Listener for Watcher<'_> {
    fn ran(&self, tally: &Tally) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() < TELL_EVERY {
            return;
        }
        *told = Instant::now();
        let seconds = self.begun.elapsed().as_secs_f64();
        self.bar.set_position(seconds as u64);
        self.bar.set_message(format!(
            "{} attempts, {:.0} a second, {} payloads kept, {} findings",
            tally.runs,
            tally.runs as f64 / seconds,
            tally.kept,
            tally.findings
        ));
    }

    fn found(&self, finding: &Finding) {
        let file = self.keep(finding);
        if self.is_quiet {
            return;
        }
        let message: String = escaped(&finding.message.replace('\n', " ")).chars().take(LINE).collect();
        let file = file.map(|file| format!(" ({})", file.display())).unwrap_or_default();
        let line = format!("found {}: {message}{file}", finding.flaw);
        match self.bar.is_hidden() {
            true => eprintln!("{line}"),
            false => self.bar.println(line),
        }
    }
}
