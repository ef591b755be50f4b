//! Which jobs a person means by what they have in common: what the broker can look for, and a text in their errors.

use afresh_queue::{JobFilter, JobView};

use super::handle::Handle;

/// The most jobs one bulk action takes: a listing of them, with their histories, must fit in memory.
pub(super) const BULK: usize = 10_000;

/// Which jobs are meant by a filter that a person wrote.
pub(super) struct Selection {
    /// What the broker looks at; its limit does not count.
    pub(super) filter: JobFilter,
    /// A text in small letters that their last error must have.
    pub(super) search: Option<String>,
}

impl Selection {
    /// The newest jobs that are meant, and whether there may be more.
    ///
    /// # Errors
    /// The broker's own.
    pub(super) async fn jobs(&self, handle: &Handle, limit: usize) -> anyhow::Result<(Vec<JobView>, bool)> {
        let looked_at = if self.search.is_some() { BULK } else { limit };
        let filter = JobFilter { limit: looked_at, ..self.filter.clone() };
        let mut jobs = handle.ask(handle.broker.jobs(&filter)).await?;
        if self.search.is_some() && jobs.len() == looked_at {
            eprintln!("note: the text was looked for in the newest {looked_at} jobs only");
        }
        jobs.retain(|job| self.says(message(job)));
        let more = jobs.len() >= limit;
        jobs.truncate(limit);
        Ok((jobs, more))
    }

    /// Whether an error's message has the text that is looked for.
    pub(super) fn says(&self, message: &str) -> bool {
        self.search.as_ref().is_none_or(|text| message.to_lowercase().contains(text))
    }
}

fn message(job: &JobView) -> &str {
    job.attempts.first().and_then(|attempt| attempt.error.as_ref()).map_or("", |error| &error.message)
}
