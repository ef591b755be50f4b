//! `afresh enqueue --wait`: shows how far the job is and what it logs, then how it ended.

use std::process::ExitCode;
use std::time::Duration;

use afresh_queue::{Client, JobId, JobView, Moment, State};
use anyhow::bail;
use tokio::time::Instant;

use crate::cli::Session;
use crate::cli::log::said;
use crate::cli::output::{escaped, print_reply};
use crate::cli::page::percent;

/// How long to wait where nobody says: longer than any job takes.
pub(super) const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long to rest after a call that failed and may succeed later.
const REST: Duration = Duration::from_millis(500);

/// Progress is shown when it has changed by so much, or is complete.
const STEP: f64 = 0.01;

/// Waits until the job has ended. A broker that is away for a while is waited for as well.
///
/// # Errors
/// When the job has not ended in time or did not succeed; else the broker's own.
pub(super) async fn run(session: &Session, client: &Client, id: &JobId, limit: Duration) -> anyhow::Result<ExitCode> {
    let deadline = Instant::now() + limit;
    // A program that reads JSON wants the job and nothing else.
    let shows = !session.output.is_json() && !session.common.quiet;
    let mut watch = client.watch(id);
    let mut shown = None;
    let finished = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let found = if shows {
            watch.wait(left, |moment| show(&moment, &mut shown)).await
        } else {
            client.wait_for_result(id, left).await
        };
        match found {
            Ok(Some(finished)) => break finished,
            Ok(None) => bail!(
                "job {id} has not ended within {}; it goes on: `afresh job show {id}` says where it stands",
                humantime::format_duration(limit)
            ),
            Err(error) if error.is_transient() && left > REST => {
                tracing::warn!(%error, job = %id, "the broker does not answer, still waiting");
                tokio::time::sleep(REST).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    match (finished.job.state, finished.reply) {
        _ if session.output.is_json() => session.output.value(&finished.job, |_| String::new())?,
        (State::Succeeded, Some(reply)) => print_reply(&reply)?,
        (State::Succeeded, None) => bail!("job {id} succeeded, but its result is no longer kept"),
        _ => bail!(ending(&finished.job)),
    }
    Ok(if finished.job.state == State::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows a moment on stderr; `shown` is the progress that was shown last.
fn show(moment: &Moment, shown: &mut Option<f64>) {
    match moment {
        Moment::Logged(line) => eprintln!("{}", said(line)),
        Moment::Progress(progress) if is_news(*progress, *shown) => {
            eprintln!("progress {} %", percent(*progress));
            *shown = Some(*progress);
        }
        Moment::Progress(_) => {}
    }
}

fn is_news(progress: f64, shown: Option<f64>) -> bool {
    shown.is_none_or(|shown| (progress - shown).abs() >= STEP || progress >= 1.0 && shown < 1.0)
}

/// How a job ended that did not succeed, in one sentence and in the words of its last error.
fn ending(job: &JobView) -> String {
    let last = job.attempts.first();
    let because = last.map_or_else(String::new, |attempt| match &attempt.error {
        Some(error) => format!(": {}: {}", attempt.outcome, escaped(&error.message)),
        None => format!(": {}", attempt.outcome),
    });
    let after = match job.attempts_started {
        0 if job.state == State::Expired => ": it was not started in time".to_owned(),
        0 => String::new(),
        1 => " after 1 attempt".to_owned(),
        attempts => format!(" after {attempts} attempts"),
    };
    format!("job {} is {}{after}{because}", job.id, job.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_news_when_it_has_changed_by_a_percent_or_is_complete() {
        for (shown, progress, news) in [
            (None, 0.0, true),
            (Some(0.0), 0.009, false),
            (Some(0.0), 0.01, true),
            (Some(0.5), 0.2, true),
            (Some(0.995), 1.0, true),
            (Some(1.0), 1.0, false),
        ] {
            assert_eq!(is_news(progress, shown), news, "{progress} after {shown:?}");
        }
    }
}
