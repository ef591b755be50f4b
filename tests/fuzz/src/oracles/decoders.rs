//! Whatever reads bytes from outside: it answers without harm, what it accepts is within its bounds, and where there is a
//! way back it leads to the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use afresh_host::cli::fuzzing as cli;
use afresh_host::cli::output::escaped;
use afresh_host::config::Config;
use afresh_host::outbox::Enqueuing;
use afresh_host::terms::Terms;
use afresh_host::worker::turns::Served;
use afresh_protocol::enqueue::Request;
use afresh_protocol::{OutcomeKind, TaskPolicy};
use afresh_queue::history::MAX_ATTEMPTS_KEPT;
use afresh_queue::job::DEFAULT_QUEUE;
use afresh_queue::log::MAX_LOG_BYTES;
use afresh_queue::{
    AttemptRecord, BrokerUrl, History, JobId, JobLog, JobOptions, Rate, Schedule, State, Timestamp, fuzzing,
};
use afresh_sandbox::Outbox as _;

use crate::counts::count;

/// The largest payload that is accepted here.
const MAX_PAYLOAD: usize = 4096;

/// A decoder: what it is called in the counts, and what must hold.
pub type Decoder = (&'static str, fn(&[u8]));

/// Every decoder. New ones come at the end: the first byte of a case says which it is for.
pub const ALL: [Decoder; 16] = [
    ("redis answers", redis_answer),
    ("histories", history),
    ("logs", log),
    ("chains", chain),
    ("periodic jobs", cron),
    ("schedules", schedule),
    ("URLs", url),
    ("words", words),
    ("task sections", section),
    ("requests of guests", request),
    ("configurations", config),
    ("job lines", job_line),
    ("batches", batch),
    ("workers", workers),
    ("terms", terms),
    ("texts for a terminal", terminal),
];

fn redis_answer(bytes: &[u8]) {
    let answered = fuzzing::redis_answer(bytes);
    for lease in answered.leases {
        count("leases read");
        json_round_trip(&lease.job.options);
        history_holds(lease.job.history);
    }
    if let Some(view) = answered.view {
        count("views read");
        // What a person sees: it must be possible to write it.
        serde_json::to_string(&view).expect("a view is JSON");
    }
}

fn history(bytes: &[u8]) {
    let mut history = History::decode(bytes);
    history_holds(history.clone());
    let Some(attempt) = history.attempts().first().cloned() else { return };
    count("histories read");
    history.push(AttemptRecord { number: attempt.number.saturating_add(1), ..attempt });
    assert!(history.attempts().len() <= MAX_ATTEMPTS_KEPT);
}

/// What was read can be stored and read again.
fn history_holds(history: History) {
    assert_eq!(History::decode(&history.encode()), history);
}

fn log(bytes: &[u8]) {
    let log = JobLog::decode(bytes);
    assert_eq!(JobLog::decode(&log.encode()), log);
    let stored = fuzzing::append_log(&log, bytes.to_vec());
    assert!(stored.len() <= MAX_LOG_BYTES, "{} bytes are stored", stored.len());
    if !log.is_empty() {
        count("logs read");
    }
}

fn chain(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let links = fuzzing::chain(text);
    assert_eq!(fuzzing::chain(&fuzzing::chain_lines(&links)), links);
    if !links.is_empty() {
        count("chains read");
    }
}

fn cron(bytes: &[u8]) {
    let Some((cron, again)) = fuzzing::cron(bytes) else { return };
    count("periodic jobs read");
    let (same, _) = fuzzing::cron(&again).expect("what was stored is read again");
    assert_eq!(same, cron);
    if cron.check().is_ok() {
        cron.job_now().validate(usize::MAX).expect("a periodic job that can be makes jobs that can be");
    }
}

/// A cron line and a time zone, on two lines.
fn schedule(bytes: &[u8]) {
    let Some((line, timezone)) = str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n')) else { return };
    let Ok(schedule) = Schedule::new(line, timezone) else { return };
    count("schedules read");
    for seconds in [0, 1_700_000_000, 4_000_000_000, 250_000_000_000, i64::MAX / 1_000_000, i64::MIN / 1_000_000] {
        let from = Timestamp(seconds * 1_000_000);
        schedule.on_the_wall(from);
        if let Some(next) = schedule.next_after(from) {
            assert!(next > from, "after {from} it is due at {next}");
        }
    }
}

fn url(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match text.parse::<BrokerUrl>() {
        Ok(url) => {
            count("URLs read");
            assert_eq!(format!("{url}"), format!("{url:?}"));
            if !url.is_embedded() {
                assert!(!url.to_string().contains('@'), "a credential may be shown: {url}");
            }
        }
        Err(reason) => assert!(reason.len() <= text.len() + 200),
    }
}

fn words(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    same_again::<JobId>(text);
    same_again::<Served>(text);
    same_again::<State>(text);
    same_again::<OutcomeKind>(text);
    if let Ok(rate) = text.parse::<Rate>() {
        count("rates read");
        assert_eq!(rate.to_string().parse(), Ok(rate), "it is shown as {rate}");
    }
    if let Some(scope) = fuzzing::scope(text) {
        count("scopes read");
        assert_eq!(fuzzing::scope(&scope.to_string()), Some(scope));
    }
}

/// A word is shown as it is written.
fn same_again<T: FromStr + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        count("words read");
        assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    }
}

fn section(bytes: &[u8]) {
    match TaskPolicy::parse_section(bytes) {
        Ok(tasks) if tasks.is_empty() => {}
        Ok(tasks) => {
            count("task sections read");
            let again: String = tasks.iter().map(TaskPolicy::to_line).collect();
            assert_eq!(TaskPolicy::parse_section(again.as_bytes()), Ok(tasks));
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
}

/// What a guest hands to `enqueue`.
fn request(bytes: &[u8]) {
    let outbox = Enqueuing::new(vec![DEFAULT_QUEUE.to_owned()], MAX_PAYLOAD);
    let put = outbox.put(bytes, b"payload");
    match Request::parse(bytes) {
        Ok(request) => {
            count("requests read");
            assert_eq!(Request::parse(&request.to_spec()), Ok(request));
        }
        Err(reason) => {
            assert!(put.is_err(), "an outbox took what cannot be read: {reason}");
            assert!(reason.len() < 1_000, "a sentence of {} bytes", reason.len());
        }
    }
    for job in outbox.jobs(Timestamp::now()) {
        job.validate(MAX_PAYLOAD).expect("what an outbox took can be enqueued");
    }
}

fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(config) = Config::parse(text) {
        count("configurations read");
        let _ = config.check();
        Terms::of(&TaskPolicy::default(), &JobOptions::default(), &config);
    }
}

fn job_line(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(job) = cli::job_line(text) {
        count("job lines read");
        if job.validate(MAX_PAYLOAD).is_ok() {
            assert_eq!(fuzzing::redis_options(&job), Ok(job.options.clone()));
            assert_eq!(fuzzing::chain(&fuzzing::chain_lines(&job.then)), job.then);
        }
    }
}

fn batch(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(batch) = cli::batch(text) {
        count("batches read");
        let _ = batch.validate(MAX_PAYLOAD);
    }
}

fn workers(bytes: &[u8]) {
    for worker in fuzzing::workers(bytes.to_vec()) {
        count("workers read");
        json_round_trip(&worker.info);
    }
}

/// A line of a tasks section and options of a job: whatever they ask for, the operator's ceilings hold.
fn terms(bytes: &[u8]) {
    let Some((task, options)) = str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n')) else { return };
    let (Ok(task), Ok(options)) = (serde_json::from_str(task), serde_json::from_str(options)) else { return };
    count("terms settled");
    let config = Config::parse("").expect("the defaults are a configuration");
    let terms = Terms::of(&task, &options, &config);
    assert!(terms.limits.memory <= config.limits.memory.as_u64());
    assert!(terms.limits.timeout <= config.limits.timeout);
    assert!((1..=config.limits.max_attempts).contains(&terms.retry.max_attempts));
    assert!(terms.retry.min_backoff <= terms.retry.max_backoff);
}

fn terminal(bytes: &[u8]) {
    let text = escaped(&String::from_utf8_lossy(bytes));
    assert!(!text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{text:?}");
    assert_eq!(escaped(&text), text);
}

fn json_round_trip<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("it is JSON");
    assert_eq!(&serde_json::from_str::<T>(&text).expect("what was written is read again"), value);
}
