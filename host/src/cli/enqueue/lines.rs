//! `afresh enqueue --jsonl`: one job per line, in chunks. Of a chunk with a wrong line nothing is enqueued, and the error
//! says which line it is and how far we came.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::ExitCode;

use afresh_queue::{Client, NewJob};
use anyhow::{Context as _, anyhow};
use serde::de::{Deserialize as _, IntoDeserializer as _};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::follows;
use super::wishes::Wishes;
use super::{Accepted, Session, block_on, client, say_if_there};
use crate::cli::handle::Handle;
use crate::cli::output::print_line;

/// A chunk ends with this many jobs …
const CHUNK_JOBS: usize = 1_000;

/// … or with this many bytes of payloads.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Enqueues every line of a file, or of standard input.
///
/// # Errors
/// When the file cannot be read, a line is no job, or the broker fails; with the line.
pub(super) fn run(session: &Session, file: &Path, defaults: &Wishes) -> anyhow::Result<ExitCode> {
    let max_payload = usize::try_from(session.config.max_payload.as_u64()).unwrap_or(usize::MAX);
    let (name, input): (String, Box<dyn BufRead>) = if file.as_os_str() == "-" {
        ("standard input".to_owned(), Box::new(std::io::stdin().lock()))
    } else {
        let opened = File::open(file).with_context(|| format!("failed to open {}", file.display()))?;
        (file.display().to_string(), Box::new(BufReader::new(opened)))
    };
    block_on(async {
        let handle = Handle::open(session).await?;
        let client = client(session, &handle);
        let mut chunks = Chunks { input, name, max_payload, defaults, line: 0 };
        let mut done = 0;
        loop {
            let progress = || match done {
                0 => "nothing was enqueued".to_owned(),
                _ => format!("the jobs up to line {done} are enqueued, none after it"),
            };
            let jobs = chunks.next().with_context(progress)?;
            if jobs.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            enqueue(session, &handle, &client, jobs)
                .await
                .with_context(|| format!("failed between lines {} and {} of {}", done + 1, chunks.line, chunks.name))?;
            done = chunks.line;
        }
    })
}

async fn enqueue(session: &Session, handle: &Handle, client: &Client, jobs: Vec<NewJob>) -> anyhow::Result<()> {
    let ids: Vec<_> = jobs.iter().map(|job| job.id.clone()).collect();
    for (id, enqueued) in ids.iter().zip(handle.ask(client.enqueue_all(jobs)).await?) {
        say_if_there(id, &enqueued);
        if session.output.is_json() {
            print_line(&serde_json::to_string(&Accepted::from(&enqueued))?)?;
        } else {
            print_line(enqueued.id.as_str())?;
        }
    }
    Ok(())
}

/// Cuts lines into chunks of jobs that one call can carry.
struct Chunks<'a> {
    input: Box<dyn BufRead>,
    name: String,
    max_payload: usize,
    defaults: &'a Wishes,
    /// The number of the line read last.
    line: usize,
}

impl Chunks<'_> {
    /// The jobs of the next lines; none at the end.
    fn next(&mut self) -> anyhow::Result<Vec<NewJob>> {
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while jobs.len() < CHUNK_JOBS && bytes < CHUNK_BYTES {
            let Some(line) = self.next_line()? else { break };
            let job = parse(&line, self.defaults)
                .and_then(|job| job.validate(self.max_payload).map(|()| job))
                .map_err(|reason| anyhow!("line {} of {}: {reason}", self.line, self.name))?;
            bytes += job.payload.len();
            jobs.push(job);
        }
        Ok(jobs)
    }

    /// The next line that is not blank, without its end. Bounded, so that a file that is no lines at all is noticed.
    fn next_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        // The longest way to write a byte in JSON takes six; the rest is for the other names.
        let most = (self.max_payload as u64).saturating_mul(6).saturating_add(64 * 1024);
        loop {
            let mut line = Vec::new();
            let read = self.input.by_ref().take(most + 1).read_until(b'\n', &mut line);
            if read.with_context(|| format!("failed to read {}", self.name))? == 0 {
                return Ok(None);
            }
            self.line += 1;
            anyhow::ensure!(
                line.len() as u64 <= most,
                "line {} of {} is longer than {most} bytes: no job with a payload within the limit is",
                self.line,
                self.name
            );
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

/// The job that a line describes.
fn parse(line: &[u8], defaults: &Wishes) -> Result<NewJob, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    read_fields(object(text)?, defaults)
}

/// The job that a JSON value describes.
///
/// # Errors
/// A sentence that says what is wrong.
pub(in crate::cli) fn read_job(written: &RawValue, defaults: &Wishes) -> Result<NewJob, String> {
    read_fields(object(written.get())?, defaults)
}

/// The fields of a JSON object.
///
/// # Errors
/// A sentence where it is none.
pub(in crate::cli) fn object(text: &str) -> Result<BTreeMap<String, &RawValue>, String> {
    serde_json::from_str(text).map_err(|error| format!("it is not a JSON object: {}", placeless(&error)))
}

fn read_fields(fields: BTreeMap<String, &RawValue>, defaults: &Wishes) -> Result<NewJob, String> {
    let mut follow = None;
    let mut task = None;
    let mut payload = Vec::new();
    let mut wishes = Map::new();
    for (name, value) in fields {
        match name.as_str() {
            "task" => task = Some(serde_json::from_str(value.get()).map_err(|_| "`task` must be a string".to_owned())?),
            "payload" => payload = bytes_of(value),
            "then" => follow = Some(value),
            _ => {
                let name = name.replace('_', "-");
                let value: Value = serde_json::from_str(value.get()).map_err(|error| placeless(&error))?;
                if wishes.insert(name.clone(), value).is_some() {
                    return Err(format!("`{name}` is there twice"));
                }
            }
        }
    }
    let task: String = task.ok_or("it names no `task`")?;
    let wishes = Wishes::deserialize(Value::from(wishes).into_deserializer()).map_err(|error| placeless(&error))?;
    wishes.check()?;
    let mut job = wishes.or(defaults).job(NewJob::new(task, payload))?;
    if let Some(written) = follow {
        job.then = follows::read(&job.id, written)?;
    }
    Ok(job)
}

/// A string stands for its text; anything else is handed over as it is written, digit for digit.
fn bytes_of(value: &RawValue) -> Vec<u8> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => text.into_bytes(),
        Err(_) => value.get().as_bytes().to_vec(),
    }
}

/// What is wrong, without serde's own line numbers: they count within the one line.
fn placeless(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use afresh_queue::{JobOptions, Unique, UniqueScope};

    use super::*;

    fn parsed(line: &str) -> Result<NewJob, String> {
        parse(line.as_bytes(), &Wishes::default())
    }

    #[test]
    fn a_payload_is_its_text_or_its_json_as_it_is_written() {
        for (written, bytes) in [
            (r#""caf\u00e9\n""#, "café\n"),
            (r#"{"b":1,  "a":12345678901234567890.123}"#, r#"{"b":1,  "a":12345678901234567890.123}"#),
            ("[1,null]", "[1,null]"),
            ("null", "null"),
            ("7", "7"),
        ] {
            let job = parsed(&format!(r#"{{"task":"t","payload":{written}}}"#)).unwrap();
            assert_eq!(String::from_utf8(job.payload).unwrap(), bytes);
        }
        assert_eq!(parsed(r#"{"task":"t"}"#).unwrap().payload, b"");
    }

    #[test]
    fn names_are_those_of_the_flags_with_dashes_or_underscores() {
        let dashes = parsed(r#"{"task":"t","id":"a","max-attempts":3,"min-backoff":"1s","memory":"64MiB"}"#).unwrap();
        let underscores =
            parsed(r#"{"task":"t","id":"a","max_attempts":3,"min_backoff":"1s","memory":67108864}"#).unwrap();
        let options = JobOptions {
            max_attempts: Some(3),
            min_backoff_ms: Some(1_000),
            memory: Some(64 << 20),
            ..JobOptions::default()
        };
        assert_eq!((dashes.options, underscores.options), (options.clone(), options));
    }

    #[test]
    fn what_a_line_says_wins_over_the_flags() {
        let flags = parse(br#"{"task":"t","queue":"slow","priority":3,"in":"1h"}"#, &Wishes::default()).unwrap();
        assert_eq!((flags.queue.as_str(), flags.options.priority), ("slow", 3));
        let defaults: Wishes = serde_json::from_str(r#"{"queue":"slow","priority":3,"in":"1h"}"#).unwrap();
        let job = parse(br#"{"task":"t","queue":"fast","at":"2100-01-01T00:00:00Z"}"#, &defaults).unwrap();
        assert_eq!((job.queue.as_str(), job.options.priority), ("fast", 3));
        let at_2100 = Duration::from_secs(4_102_444_800).as_micros();
        assert_eq!(job.run_at.map(|at| at.0 as u128), Some(at_2100), "the line's own time, not the flag's delay");
        let defaults: Wishes = serde_json::from_str(r#"{"unique-key":"k","unique-for":"1h","key":"flag"}"#).unwrap();
        let job = parse(br#"{"task":"t","unique_while":"queued","concurrency-key":"line"}"#, &defaults).unwrap();
        assert_eq!(job.unique, Some(Unique { key: "k".into(), scope: UniqueScope::Queued }));
        assert_eq!(job.key.as_deref(), Some("line"));
    }

    #[test]
    fn a_line_that_is_no_job_is_refused_with_a_reason() {
        for (line, reason) in [
            ("shout", "not a JSON object"),
            ("[1]", "not a JSON object"),
            (r#"{"task":"t""#, "not a JSON object"),
            (r#"{"payload":1}"#, "names no `task`"),
            (r#"{"task":7}"#, "`task` must be a string"),
            (r#"{"task":"t","colour":1}"#, "unknown field `colour`"),
            (r#"{"task":"t","max-attempts":1,"max_attempts":2}"#, "`max-attempts` is there twice"),
            (r#"{"task":"t","at":"tomorrow"}"#, "tomorrow"),
            (r#"{"task":"t","timeout":30}"#, "a duration"),
            (r#"{"task":"t","at":"2126-01-01T00:00:00Z","in":"1s"}"#, "exclude each other"),
            (r#"{"task":"t","at":"2001-01-01T00:00:00Z"}"#, "ago: leave `at` away to run it now"),
            (r#"{"task":"t","unique-key":"k","unique-for":"1h","unique-while":"queued"}"#, "exclude each other"),
            (r#"{"task":"t","unique-for":"1h"}"#, "say how long a `unique-key` is held"),
            (r#"{"task":"t","unique-key":"k","unique-while":"asleep"}"#, "expected `queued` or `unfinished`"),
            (r#"{"task":"t","expires-in":"0s"}"#, "`expires-in` is 0"),
            (r#"{"task":"t","in":"1h","expires-in":"1h"}"#, "would expire before its time has come"),
            (r#"{"task":"t","id":"a b"}"#, "a job's id is"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
        }
        assert_eq!(parse(b"\xff", &Wishes::default()).unwrap_err(), "it is not UTF-8");
    }
}
