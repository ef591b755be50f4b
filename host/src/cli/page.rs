//! How a job looks to a person: a row of a listing, and a page of its own. Whatever came from a guest or a producer is
//! escaped, because it ends on somebody's terminal.

use std::fmt::Write as _;
use std::time::Duration;

use afresh_queue::{AttemptRecord, JobView, State, Timestamp};
use bytesize::ByteSize;

use super::hold::Hold;
use super::output::escaped;
pub(super) use afresh_protocol::text::escaped_line as cell;

/// The headings of [`row`].
pub(super) const HEADINGS: [&str; 7] = ["ID", "TASK", "QUEUE", "STATE", "ATTEMPTS", "LAST", "ENQUEUED"];

/// A job as one row of a listing.
pub(super) fn row(job: &JobView, now: Timestamp) -> Vec<String> {
    let last = job.attempts.first().map_or("-", |attempt| attempt.outcome.as_str());
    vec![
        job.id.to_string(),
        cell(&job.task),
        cell(&job.queue),
        standing(job),
        attempts_of(job),
        last.to_owned(),
        seen_from(now, job.enqueued_at),
    ]
}

/// A job as a page: where it stands and what holds it, when what happened, every attempt that is kept, and what one can
/// do now.
pub(super) fn page(job: &JobView, hold: Option<&Hold>, now: Timestamp) -> String {
    let mut page = format!("job {}\n", job.id);
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "  {name:<11} {value}");
    };
    let at = |instant: Timestamp| format!("{instant} ({})", seen_from(now, instant));
    line("task", cell(&job.task));
    line("queue", cell(&job.queue));
    line("state", job.state.to_string());
    if job.cancelling {
        line("cancelling", "its worker was asked to end it".to_owned());
    }
    if let Some(hold) = hold {
        line("held by", hold.by.clone());
    }
    if let Some(progress) = job.progress {
        line("progress", format!("{} %", percent(progress)));
    }
    if let Some(key) = &job.key {
        line("key", cell(key));
    }
    if let Some(key) = &job.unique_key {
        line("unique key", cell(key));
    }
    if let Some(batch) = &job.batch {
        line("batch", batch.to_string());
    }
    if !job.then.is_empty() {
        let follow: Vec<_> = job.then.iter().map(|link| format!("{} ({})", link.id, cell(&link.task))).collect();
        line("then", follow.join(", "));
    }
    line("priority", job.priority.to_string());
    line("payload", ByteSize(job.payload_bytes).to_string());
    line("enqueued", at(job.enqueued_at));
    line("to run", at(job.run_at));
    // A job that has started never expires.
    let may_expire = matches!(job.state, State::Scheduled | State::Queued | State::Expired);
    if let Some(expires_at) = job.expires_at.filter(|_| may_expire) {
        line("expires", at(expires_at));
    }
    if let Some(finished_at) = job.finished_at {
        line("finished", at(finished_at));
    }
    line("attempts", attempts_of(job));
    if let Some(bytes) = job.result_bytes {
        line("result", ByteSize(bytes).to_string());
    }
    if !job.attempts.is_empty() {
        page.push_str("\nattempts, the newest first\n");
    }
    for attempt in &job.attempts {
        page.push_str(&attempt_lines(attempt, now));
    }
    page.push_str("\nwhat to do\n");
    let mut commands = next_commands(job);
    if let Some(hold) = hold {
        commands.insert(0, (hold.command.clone(), hold.why));
    }
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    for (command, why) in commands {
        let _ = writeln!(page, "  {command:<width$}   {why}");
    }
    page.truncate(page.trim_end().len());
    page
}

/// One attempt: a line of facts, one of where it ran, and its error as far as it is kept.
fn attempt_lines(attempt: &AttemptRecord, now: Timestamp) -> String {
    let usage = attempt.usage;
    let mut lines = format!(
        "  #{} {}, {}: {:.1?} wall, {:.1?} CPU, {} peak memory\n     worker {}",
        attempt.number,
        attempt.outcome,
        seen_from(now, attempt.finished_at),
        Duration::from_micros(usage.wall_us),
        Duration::from_micros(usage.cpu_us),
        ByteSize(usage.peak_memory_bytes),
        cell(&attempt.worker),
    );
    if let Some(module) = &attempt.module {
        let _ = write!(lines, ", module {}", cell(module));
    }
    lines.push('\n');
    if let Some(error) = &attempt.error {
        let cut = if error.truncated { format!(" (cut from {})", ByteSize(error.total_bytes)) } else { String::new() };
        let _ = writeln!(lines, "     {}{cut}:", cell(&error.kind));
        for line in escaped(&error.message).lines() {
            let _ = writeln!(lines, "       {line}");
        }
    }
    lines
}

/// What a person can do with a job now, as commands to type, each with what it is for.
fn next_commands(job: &JobView) -> Vec<(String, &'static str)> {
    let id = &job.id;
    let remove = (format!("afresh job rm {id}"), "forget it");
    match job.state {
        State::Scheduled | State::Queued => vec![(format!("afresh job cancel {id}"), "do not run it"), remove],
        State::Running => {
            let cancel = (format!("afresh job cancel {id}"), "end it");
            let look =
                [(format!("afresh job log {id}"), "see what it logs"), (format!("afresh job show {id}"), "look again")];
            (!job.cancelling).then_some(cancel).into_iter().chain(look).collect()
        }
        State::Succeeded if job.result_bytes.is_some() => {
            vec![(format!("afresh job result {id}"), "print its result"), remove]
        }
        State::Succeeded => vec![remove],
        State::Dead => vec![(format!("afresh dead retry {id}"), "run it again, with fresh attempts"), remove],
        State::Cancelled | State::Expired => vec![(format!("afresh job retry {id}"), "run it after all"), remove],
    }
}

/// A state with what a listing has no column for.
fn standing(job: &JobView) -> String {
    match (job.state, job.progress) {
        (State::Running, _) if job.cancelling => "running, cancelling".to_owned(),
        (State::Running, Some(progress)) => format!("running, {} %", percent(progress)),
        (State::Queued, _) if job.held_by.is_some() => "queued, held".to_owned(),
        (state, _) => state.to_string(),
    }
}

/// Whole percents, of what goes from 0 to 1. What is not finished is never 100.
pub(super) fn percent(progress: f64) -> u8 {
    // 0.29 times 100 is a little less than 29.
    (progress * 100.0 + 1e-9) as u8
}

fn attempts_of(job: &JobView) -> String {
    match job.max_attempts {
        Some(max) => format!("{} of {max}", job.attempts_started),
        None => job.attempts_started.to_string(),
    }
}

/// An instant as people say it: `5m 3s ago`, `in 2days`; never more exact than is of use.
pub(super) fn seen_from(now: Timestamp, instant: Timestamp) -> String {
    let (past, ahead) = (now.until_from(instant), instant.until_from(now));
    let seconds = past.max(ahead).as_secs();
    let grain = match seconds {
        86_400.. => 3_600,
        3_600.. => 60,
        _ => 1,
    };
    let span = humantime::format_duration(Duration::from_secs(seconds / grain * grain));
    match seconds {
        0 => "now".to_owned(),
        _ if instant > now => format!("in {span}"),
        _ => format!("{span} ago"),
    }
}

#[cfg(test)]
mod tests {
    use afresh_protocol::{ErrorRecord, OutcomeKind, Usage};

    use super::*;

    fn dead_job() -> JobView {
        JobView {
            id: "j1".parse().unwrap(),
            task: "resize\u{1b}[31m".into(),
            queue: "default".into(),
            state: State::Dead,
            priority: 0,
            enqueued_at: Timestamp(0),
            run_at: Timestamp(0),
            finished_at: Some(Timestamp(61_000_000)),
            payload_bytes: 2048,
            max_attempts: Some(1),
            attempts_started: 1,
            key: None,
            unique_key: None,
            expires_at: None,
            held_by: None,
            progress: None,
            cancelling: false,
            attempts: vec![AttemptRecord {
                number: 1,
                worker: "w".into(),
                module: Some("sha256:00".into()),
                started_at: Some(Timestamp(60_000_000)),
                finished_at: Timestamp(61_000_000),
                outcome: OutcomeKind::Failed,
                error: Some(ErrorRecord::new("failed", "first\n\u{1b}]0;owned\u{7}\rsecond")),
                usage: Usage { wall_us: 81_234, cpu_us: 80_991, peak_memory_bytes: 2 << 20, ..Usage::default() },
            }],
            result_bytes: None,
            batch: None,
            then: Vec::new(),
        }
    }

    #[test]
    fn a_page_says_what_happened_and_what_to_do() {
        let page = page(&dead_job(), None, Timestamp(121_000_000));
        for part in [
            "state       dead",
            "payload     2.0 KiB",
            "attempts    1 of 1",
            "#1 failed, 1m ago: 81.2ms wall, 81.0ms CPU, 2.0 MiB peak memory",
            "afresh dead retry j1",
            "       first\n       \\u{1b}]0;owned\\u{7}\\rsecond",
        ] {
            assert!(page.contains(part), "no {part:?} in\n{page}");
        }
    }

    #[test]
    fn nothing_a_guest_or_producer_wrote_reaches_a_terminal_raw() {
        let shown = page(&dead_job(), None, Timestamp(0)) + &row(&dead_job(), Timestamp(0)).join(" ");
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }

    #[test]
    fn instants_are_said_as_people_say_them() {
        let second = 1_000_000;
        for (ahead, said) in
            [(0, "now"), (-3, "3s ago"), (90, "in 1m 30s"), (-3_700, "1h 1m ago"), (90_000, "in 1day 1h")]
        {
            assert_eq!(seen_from(Timestamp(0), Timestamp(ahead * second)), said);
        }
    }
}
