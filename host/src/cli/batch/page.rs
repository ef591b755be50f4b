//! How a batch looks to a person: a row of a listing, and a page of its own with the jobs and the batches in it.

use std::fmt::Write as _;

use afresh_queue::{BatchJob, BatchState, BatchView, Timestamp};
use serde::Serialize;

use crate::cli::page::{cell, seen_from};

/// The headings of [`row`].
pub(super) const HEADINGS: [&str; 10] =
    ["ID", "QUEUE", "STATE", "MEMBERS", "PENDING", "SUCCEEDED", "DEAD", "CANCELLED", "OTHERS", "ENQUEUED"];

/// A batch with all that is in it.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) batch: BatchView,
    pub(super) jobs: Vec<BatchJob>,
    pub(super) nested: Vec<Self>,
}

/// A batch as one row of a listing.
pub(super) fn row(batch: &BatchView, now: Timestamp) -> Vec<String> {
    let BatchView { total, pending, succeeded, dead, cancelled, expired, removed, .. } = batch;
    vec![
        batch.id.to_string(),
        cell(&batch.queue),
        batch.state.to_string(),
        total.to_string(),
        pending.to_string(),
        succeeded.to_string(),
        dead.to_string(),
        cancelled.to_string(),
        (expired + removed).to_string(),
        seen_from(now, batch.enqueued_at),
    ]
}

/// A batch as a page.
pub(super) fn page(shown: &Shown, now: Timestamp) -> String {
    let mut page = format!("batch {}\n", shown.batch.id);
    add(&mut page, shown, 0, now);
    page.push_str("\nwhat to do\n");
    let id = &shown.batch.id;
    let _ = match shown.batch.state {
        BatchState::Open => write!(page, "  afresh batch cancel {id}   do not go on with it"),
        BatchState::Finished | BatchState::Cancelled => {
            write!(page, "  afresh job show ID   see how one of its jobs ended")
        }
    };
    page
}

/// Adds a batch, and with more indentation what is in it.
fn add(page: &mut String, shown: &Shown, depth: usize, now: Timestamp) {
    let Shown { batch, jobs, nested } = shown;
    let indent = "    ".repeat(depth);
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{indent}  {name:<11} {value}");
    };
    let at = |instant: Timestamp| format!("{instant} ({})", seen_from(now, instant));
    if depth == 0 {
        line("queue", cell(&batch.queue));
    }
    line("state", batch.state.to_string());
    line("members", counts(batch));
    line("enqueued", at(batch.enqueued_at));
    if let Some(finished_at) = batch.finished_at {
        line("finished", at(finished_at));
    }
    if let Some(callback) = &batch.callback {
        line("callback", format!("{}, {}", callback.id, cell(&callback.task)));
    }
    let width = jobs.iter().map(|job| job.id.as_str().len()).max().unwrap_or(0);
    for job in jobs {
        let _ = writeln!(page, "{indent}  job {:<width$}   {}, {}", job.id, cell(&job.task), job.state);
    }
    for inner in nested {
        let _ = writeln!(page, "{indent}  batch {}", inner.batch.id);
        add(page, inner, depth + 1, now);
    }
}

/// `5: 2 pending, 3 succeeded`.
fn counts(batch: &BatchView) -> String {
    let counts = [
        (batch.pending, "pending"),
        (batch.succeeded, "succeeded"),
        (batch.dead, "dead"),
        (batch.cancelled, "cancelled"),
        (batch.expired, "expired"),
        (batch.removed, "removed"),
    ];
    let parts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    format!("{}: {}", batch.total, parts.join(", "))
}
