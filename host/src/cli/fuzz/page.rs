//! What the fuzzer came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use afresh_fuzz::{Again, Flaw, Notable, OutcomeKind, Summary, Tally};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytesize::ByteSize;
use serde::Serialize;

use crate::cli::page::cell;
use crate::grants::listing::Comparison;

/// Bytes of the longest payload that the report itself shows.
const SHOWN: usize = 4096;

/// Characters of a payload in the report for people.
const LINE: usize = 100;

#[derive(Serialize)]
pub(super) struct Page {
    module: String,
    task: String,
    seed: u64,
    seconds: f64,
    runs: u64,
    runs_per_second: f64,
    outcomes: BTreeMap<&'static str, u64>,
    /// How many payloads were kept to be changed further.
    kept: usize,
    peak_memory: Record,
    slowest: Record,
    /// What a person should know of what these numbers are worth.
    notes: Vec<String>,
    findings: Vec<Found>,
}

/// The payload that took most.
#[derive(Serialize)]
struct Record {
    peak_memory_bytes: u64,
    fuel: Option<u64>,
    wall_us: u64,
    payload_bytes: usize,
    /// The payload, where it is text and not too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// The payload, where it is not text and not too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

#[derive(Serialize)]
struct Found {
    kind: &'static str,
    message: String,
    payload_bytes: usize,
    /// Bytes of the payload before it was made smaller.
    found_bytes: usize,
    file: PathBuf,
    /// The command that shows it again; where two attempts differ, it takes two.
    again: String,
}

impl Page {
    /// The report of a run; `file` says where a payload was written.
    ///
    /// # Errors
    /// Those of `file`.
    pub(super) fn of(
        again: &Again,
        digest: &str,
        seed: u64,
        wishes: &Comparison,
        summary: &Summary,
        file: impl Fn(Flaw, &[u8]) -> anyhow::Result<PathBuf>,
    ) -> anyhow::Result<Self> {
        let findings = summary.findings.iter().map(|finding| {
            let file = file(finding.flaw, &finding.payload)?;
            Ok(Found {
                kind: finding.flaw.as_str(),
                message: finding.message.clone(),
                payload_bytes: finding.payload.len(),
                found_bytes: finding.found_bytes,
                again: again.command(&file),
                file,
            })
        });
        let (seconds, tally) = (summary.took.as_secs_f64(), &summary.tally);
        Ok(Self {
            module: digest.to_owned(),
            task: again.task.clone(),
            seed,
            seconds,
            runs: tally.runs,
            runs_per_second: tally.runs as f64 / seconds.max(f64::EPSILON),
            outcomes: tally.outcomes.clone(),
            kept: tally.kept,
            peak_memory: Record::of(&tally.peak_memory),
            slowest: Record::of(&tally.slowest),
            notes: [without_grants(wishes), nothing_got_through(tally)].into_iter().flatten().collect(),
            findings: findings.collect::<anyhow::Result<_>>()?,
        })
    }

    pub(super) fn for_people(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        for found in &self.findings {
            let from = match found.payload_bytes < found.found_bytes {
                true => format!(", made of {}", found.found_bytes),
                false => String::new(),
            };
            let _ = writeln!(page, "{}: {}", found.kind, cell(&found.message));
            let _ = writeln!(page, "  {} ({} bytes{from})", found.file.display(), found.payload_bytes);
            // One attempt alone shows nothing of a difference between two.
            let how = if found.kind == Flaw::NonDeterministic.as_str() { "twice, and compare: " } else { "" };
            let _ = writeln!(page, "  {how}{}\n", found.again);
        }
        let outcomes: Vec<_> = self.outcomes.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let _ = writeln!(
            page,
            "{} attempts in {:.1} s, {:.0} a second, seed {}\n{}\n{} payloads are kept: of each way to end and each length, the one that used most fuel",
            self.runs,
            self.seconds,
            self.runs_per_second,
            self.seed,
            outcomes.join(", "),
            self.kept
        );
        let most = ByteSize(self.peak_memory.peak_memory_bytes);
        let _ = writeln!(page, "most memory  {most}, on {}", self.peak_memory.shown());
        let fuel = self.slowest.fuel.unwrap_or(0);
        let ms = self.slowest.wall_us as f64 / 1000.0;
        let _ = writeln!(page, "slowest      {ms:.1} ms (fuel {fuel}), on {}", self.slowest.shown());
        for note in &self.notes {
            let _ = writeln!(page, "note: {note}");
        }
        let _ = match self.findings.len() {
            0 => write!(page, "nothing is wrong with what was tried"),
            1 => write!(page, "1 finding"),
            findings => write!(page, "{findings} findings"),
        };
        page
    }
}

/// A note where a task asks to be granted something, or is.
fn without_grants(wishes: &Comparison) -> Option<String> {
    let items: Vec<_> = wishes.items.iter().map(|item| format!("{} {}", item.kind, cell(&item.name))).collect();
    (!items.is_empty()).then(|| {
        format!(
            "a task is granted nothing while it is fuzzed, so this one, with {}, may only ever have failed",
            items.join(", ")
        )
    })
}

/// A note where no attempt got past the failures that are a task's right.
fn nothing_got_through(tally: &Tally) -> Option<String> {
    let rights = [OutcomeKind::Failed, OutcomeKind::Rejected].map(OutcomeKind::as_str);
    let is_all = tally.runs > 0 && tally.outcomes.keys().all(|kind| rights.contains(kind));
    is_all.then(|| {
        "no payload got through: every attempt failed or was rejected; give it payloads that it takes, in a folder, \
         with --corpus"
            .to_owned()
    })
}

impl Record {
    fn of(notable: &Notable) -> Self {
        let payload = &notable.payload;
        let text = std::str::from_utf8(payload).ok().map(str::to_owned);
        let is_short = payload.len() <= SHOWN;
        Self {
            peak_memory_bytes: notable.usage.peak_memory_bytes,
            fuel: notable.usage.fuel,
            wall_us: notable.usage.wall_us,
            payload_bytes: payload.len(),
            payload_base64: (is_short && text.is_none()).then(|| STANDARD.encode(payload)),
            payload: text.filter(|_| is_short),
        }
    }

    fn shown(&self) -> String {
        let bytes = self.payload_bytes;
        match &self.payload {
            Some(text) if text.chars().count() <= LINE => format!("{bytes} bytes: {}", cell(text)),
            _ => format!("{bytes} bytes"),
        }
    }
}
