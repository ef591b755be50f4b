//! How one attempt's report is printed: for people on two streams, or whole as JSON.

use std::time::Duration;

use afresh_protocol::abi::LogLevel;
use afresh_sandbox::{ErrorRecord, Outcome, OutcomeKind, Report, Usage};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytesize::ByteSize;
use serde::Serialize;

use super::output::{escaped, json, print_line, print_reply};
use super::page::cell;

/// The reply to stdout; log lines, what became of the attempt and what it took to stderr.
pub(super) fn print(report: &Report, quiet: bool) -> anyhow::Result<()> {
    if !quiet {
        for line in &report.log {
            // One line each, so that none can pass for another.
            eprintln!("[{}] {}", level(line.level), cell(&line.text));
        }
    }
    if let Outcome::Succeeded(reply) = &report.outcome {
        print_reply(reply)?;
    } else {
        eprintln!("{}", sentence(&report.outcome));
    }
    if !quiet {
        eprintln!("{}", took(&report.usage));
    }
    Ok(())
}

/// Bytes of an error's text that a person is shown; `--report` has what the sandbox kept.
const SHOWN_ERROR: usize = 2048;

/// What became of an attempt that did not succeed, in one sentence.
fn sentence(outcome: &Outcome) -> String {
    let span = |span: &Duration| humantime::format_duration(*span).to_string();
    let text = |error: &ErrorRecord| escaped(&error.clone().shortened(SHOWN_ERROR).message);
    let kind = outcome.kind();
    match outcome {
        Outcome::Snoozed(delay) => format!("{kind}: it asks to run again in {}", span(delay)),
        Outcome::Failed { error, retry_after: Some(delay) } => {
            format!("{kind}: {} (it asks to be tried again in {} or later)", text(error), span(delay))
        }
        outcome => match outcome.error() {
            Some(error) => format!("{kind}: {}", text(error)),
            None => kind.to_string(),
        },
    }
}

fn took(usage: &Usage) -> String {
    let ms = |us: u64| us as f64 / 1000.0;
    let fuel = usage.fuel.map(|fuel| format!(", fuel {fuel}")).unwrap_or_default();
    format!(
        "took {:.1} ms, {:.1} ms of CPU, peak memory {}{fuel}",
        ms(usage.wall_us),
        ms(usage.cpu_us),
        ByteSize(usage.peak_memory_bytes)
    )
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

/// A whole report, with the names of the job's JSON where they mean the same.
#[derive(Serialize)]
struct Whole<'a> {
    module: &'a str,
    task: &'a str,
    outcome: OutcomeKind,
    error: Option<&'a ErrorRecord>,
    /// Milliseconds it asks to wait: of a failure at least, of a snooze exactly.
    delay_ms: Option<u64>,
    usage: Usage,
    progress: Option<f64>,
    /// The reply, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a str>,
    /// The reply, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_base64: Option<String>,
    log: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    text: &'a str,
}

/// Everything as one JSON object on stdout.
pub(super) fn print_json(digest: &str, task: &str, report: &Report) -> anyhow::Result<()> {
    print_line(&json(&whole(digest, task, report))?)
}

fn whole<'a>(module: &'a str, task: &'a str, report: &'a Report) -> Whole<'a> {
    let reply = match &report.outcome {
        Outcome::Succeeded(reply) => Some(reply.as_slice()),
        _ => None,
    };
    let text = reply.and_then(|reply| std::str::from_utf8(reply).ok());
    let delay = match &report.outcome {
        Outcome::Failed { retry_after, .. } => *retry_after,
        Outcome::Snoozed(delay) => Some(*delay),
        _ => None,
    };
    Whole {
        module,
        task,
        outcome: report.outcome.kind(),
        error: report.outcome.error(),
        delay_ms: delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        usage: report.usage,
        progress: report.progress,
        reply: text,
        reply_base64: reply.filter(|_| text.is_none()).map(|reply| STANDARD.encode(reply)),
        log: report.log.iter().map(|line| Line { level: level(line.level), text: &line.text }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        Report { outcome, usage: Usage::default(), log: Vec::new(), progress: None }
    }

    #[test]
    fn a_reply_that_is_not_text_travels_as_base64() {
        let (text, binary) = (report(Outcome::Succeeded(b"hi".into())), report(Outcome::Succeeded(vec![0xff, 0])));
        let (text, binary) = (whole("sha256:0", "a", &text), whole("sha256:0", "a", &binary));
        assert_eq!((text.reply, text.reply_base64), (Some("hi"), None));
        assert_eq!((binary.reply, binary.reply_base64.as_deref()), (None, Some("/wA=")));
    }

    #[test]
    fn an_outcome_is_one_sentence_without_the_guests_control_characters() {
        let error = ErrorRecord::new("failed", "no \u{1b}[31mluck");
        let failed = Outcome::Failed { error, retry_after: Some(Duration::from_secs(5)) };
        assert_eq!(sentence(&failed), "failed: no \\u{1b}[31mluck (it asks to be tried again in 5s or later)");
        assert_eq!(sentence(&Outcome::Snoozed(Duration::from_secs(90))), "snoozed: it asks to run again in 1m 30s");
        assert_eq!(sentence(&Outcome::Cancelled), "cancelled");
    }
}
