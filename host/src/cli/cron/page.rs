//! How a periodic job looks to a person: a row of a listing, a page of its own, and the times it is due.

use std::fmt::Write as _;
use std::time::Duration;

use afresh_queue::schedule::DEFAULT_TIMEZONE;
use afresh_queue::{CronView, Missed, Timestamp};
use bytesize::ByteSize;
use serde::Serialize;

use super::Schedule;
use crate::cli::page::{cell, seen_from};

/// The headings of [`row`].
pub(super) const HEADINGS: [&str; 8] = ["NAME", "SCHEDULE", "TIME ZONE", "TASK", "QUEUE", "NEXT", "LAST", "PAUSED"];

/// A periodic job with the next times it is due; the first is [`CronView::next_at`].
#[derive(Serialize)]
pub(super) struct Due {
    #[serde(flatten)]
    view: CronView,
    next: Vec<Timestamp>,
}

impl Due {
    /// With so many times. One whose first time has come, and nobody served its queue, is due after `now` next.
    pub(super) fn new(view: CronView, times: usize, now: Timestamp) -> Self {
        let schedule = schedule(&view);
        let after = |last: &Timestamp| schedule.as_ref()?.next_after(now.max(*last));
        let next = std::iter::successors(view.next_at, after).take(times).collect();
        Self { view, next }
    }
}

/// A periodic job as one row of a listing.
pub(super) fn row(view: &CronView, now: Timestamp) -> Vec<String> {
    let cron = &view.cron;
    vec![
        cell(&cron.name),
        cell(&cron.schedule),
        cell(&cron.timezone),
        cell(&cron.task),
        cell(&cron.queue),
        view.next_at.map_or_else(|| "-".to_owned(), |at| ahead(now, at)),
        view.last_at.map_or_else(|| "-".to_owned(), |at| seen_from(now, at)),
        if view.paused { "yes" } else { "no" }.to_owned(),
    ]
}

/// A periodic job as a page: what it makes, the next times it is due, and what one can do.
pub(super) fn page(due: &Due, now: Timestamp) -> String {
    let view = &due.view;
    let cron = &view.cron;
    let name = cell(&cron.name);
    let mut page = format!("periodic job {name}\n");
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "  {name:<12} {value}");
    };
    line("schedule", cell(&cron.schedule));
    line("time zone", cell(&cron.timezone));
    line(
        "missed times",
        match cron.missed {
            Missed::Skip => "are skipped".to_owned(),
            Missed::RunOnce => "make one job, for all of them".to_owned(),
        },
    );
    line("task", cell(&cron.task));
    line("queue", cell(&cron.queue));
    line("payload", ByteSize(cron.payload.len() as u64).to_string());
    let options = &cron.options;
    let span = |millis| humantime::format_duration(Duration::from_millis(millis)).to_string();
    let asked = [
        ("key", cron.key.as_deref().map(cell)),
        ("priority", (options.priority != 0).then(|| options.priority.to_string())),
        ("max attempts", options.max_attempts.map(|most| most.to_string())),
        ("min backoff", options.min_backoff_ms.map(span)),
        ("max backoff", options.max_backoff_ms.map(span)),
        ("timeout", options.timeout_ms.map(span)),
        ("memory", options.memory.map(|bytes| ByteSize(bytes).to_string())),
        ("last time", view.last_at.map(|at| format!("{at} ({})", seen_from(now, at)))),
        ("last job", view.last_job.as_ref().map(ToString::to_string)),
    ];
    for (name, value) in asked {
        value.into_iter().for_each(|value| line(name, value));
    }
    let (verb, why) = if view.paused { ("resume", "let it go on") } else { ("pause", "make no more jobs") };
    let _ = write!(
        page,
        "\n{}\n\nwhat to do\n  afresh cron run {name}\n  afresh cron {verb} {name}   {why}\n  afresh cron rm {name}",
        times(due, now)
    );
    page
}

/// The next times it is due: in its time zone, in UTC, and as seen from now.
pub(super) fn times(due: &Due, now: Timestamp) -> String {
    let Due { view, next } = due;
    if view.paused {
        return format!("it is paused: `afresh cron resume {}` lets it go on", cell(&view.cron.name));
    }
    let schedule = schedule(view).filter(|_| view.cron.timezone != DEFAULT_TIMEZONE);
    let mut lines = vec![if next.is_empty() { "never due again" } else { "due next" }.to_owned()];
    lines.extend(next.iter().map(|&at| {
        let wall = schedule.as_ref().map(|schedule| format!("{}   ", schedule.on_the_wall(at))).unwrap_or_default();
        format!("  {wall}{at}   {}", ahead(now, at))
    }));
    lines.join("\n")
}

/// A time that is to come; or that has come, while no worker served the queue.
fn ahead(now: Timestamp, at: Timestamp) -> String {
    if at < now { format!("due {}", seen_from(now, at)) } else { seen_from(now, at) }
}

/// `None` for one that an older or newer program added, whose line or zone this one does not know.
fn schedule(view: &CronView) -> Option<Schedule> {
    Schedule::new(&view.cron.schedule, &view.cron.timezone).ok()
}
