//! What the fuzz targets of this repository have to know of the inside. No part of the interface: it may change or go.

use afresh_queue::job::DEFAULT_QUEUE;
use afresh_queue::{Batch, JobId, NewJob};

use super::batch::document;
use super::enqueue::{Wishes, read_job};

/// Reads a line of `afresh enqueue --jsonl`.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn job_line(line: &str) -> Result<NewJob, String> {
    let written = serde_json::from_str(line).map_err(|error| error.to_string())?;
    read_job(written, &Wishes::default())
}

/// Reads the document of `afresh batch enqueue`.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn batch(text: &str) -> Result<Batch, String> {
    document::parse(text, &JobId::fresh(), DEFAULT_QUEUE)
}
