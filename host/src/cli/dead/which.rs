//! Which dead jobs are meant: the flags that choose them, a fingerprint in full or by its first digits, and a text to look
//! for in their errors.

use afresh_protocol::OutcomeKind;
use afresh_queue::{Failures, JobFilter, State};
use anyhow::{anyhow, bail};
use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser;

use crate::cli::handle::Handle;
use crate::cli::selection::Selection;

/// The digits of a whole fingerprint.
const DIGITS: usize = 16;

/// More groups than there are.
const MANY: usize = u32::MAX as usize;

/// The fewest digits that stand for a fingerprint.
const FEWEST_DIGITS: usize = 4;

// What is retried or removed is said on the command line alone: a forgotten variable must not choose it.
#[derive(ClapArgs, Debug)]
pub(super) struct Which {
    /// Only jobs of this task
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only jobs whose last attempt came to this, such as failed, rejected, timed_out or out_of_memory
    #[arg(long, value_name = "OUTCOME")]
    kind: Option<OutcomeKind>,
    /// Only jobs of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Only jobs that failed alike: a fingerprint of `afresh dead ls --group`, or its first 4 digits or more
    #[arg(long, value_name = "DIGITS", value_parser = digits)]
    fingerprint: Option<String>,
    /// Only jobs with this text in their last error's message, in capitals or not
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    search: Option<String>,
}

impl Which {
    /// The dead jobs that are meant.
    ///
    /// # Errors
    /// When a fingerprint's first digits are those of none or of several; else the broker's own.
    pub(super) async fn find(self, handle: &Handle) -> anyhow::Result<Selection> {
        let Self { task, kind, queue, fingerprint, search } = self;
        let mut filter = JobFilter { queue, task, state: Some(State::Dead), outcome: kind, ..JobFilter::default() };
        filter.fingerprint = match fingerprint {
            Some(digits) if digits.len() < DIGITS => Some(whole(handle, &filter, &digits).await?),
            fingerprint => fingerprint,
        };
        Ok(Selection { filter, search: search.map(|text| text.to_lowercase()) })
    }
}

/// The groups of failures under this selection, at most `limit`. A text is looked for in the message of each one's newest.
///
/// # Errors
/// The broker's own.
pub(super) async fn groups(handle: &Handle, selection: &Selection, limit: usize) -> anyhow::Result<Vec<Failures>> {
    let most = if selection.search.is_some() { MANY } else { limit };
    let filter = JobFilter { limit: most, ..selection.filter.clone() };
    let mut groups = handle.ask(handle.broker.failures(&filter)).await?;
    groups.retain(|group| selection.says(&group.message));
    groups.truncate(limit);
    Ok(groups)
}

/// The one fingerprint that begins with these digits.
async fn whole(handle: &Handle, filter: &JobFilter, digits: &str) -> anyhow::Result<String> {
    let all = JobFilter { limit: MANY, ..filter.clone() };
    let groups = handle.ask(handle.broker.failures(&all)).await?;
    let mut found: Vec<_> = groups.into_iter().map(|group| group.fingerprint).collect();
    found.retain(|fingerprint| fingerprint.starts_with(digits));
    found.sort();
    found.dedup();
    match found.len() {
        0 => {
            Err(anyhow!("no dead job has a fingerprint that begins with {digits}: `afresh dead ls --group` shows them"))
        }
        1 => Ok(found.remove(0)),
        _ => bail!("several fingerprints begin with {digits} ({}): give more digits", found.join(", ")),
    }
}

fn digits(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let fits = (FEWEST_DIGITS..=DIGITS).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let wrong = || format!("a fingerprint has {DIGITS} hexadecimal digits; its first {FEWEST_DIGITS} or more will do");
    fits.then_some(text).ok_or_else(wrong)
}
