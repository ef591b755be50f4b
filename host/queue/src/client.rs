//! What a producer uses: hands jobs over and asks for their results. Links no Wasm.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::Batch;
use crate::broker::{Broker, BrokerError, Enqueued};
use crate::clock::Clock;
use crate::job::{DEFAULT_MAX_PAYLOAD, JobId, NewJob};
use crate::url::{self, BrokerUrl};
use crate::watch::{self, Finished, Watch};

/// The most jobs one call to the broker carries.
const CHUNK_JOBS: usize = 1_000;

/// The most payload bytes one call to the broker carries, one job whatever its size.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// A producer's hand on a broker. Cheap to clone.
///
/// ```
/// use afresh_queue::{Client, NewJob};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let client = Client::open(&"sqlite::memory:".parse()?).await?;
/// let job = client.enqueue(NewJob::new("thumbnail", b"a picture")).await?;
/// assert!(job.created);
/// assert_eq!(client.result(&job.id).await?, None, "no worker has run it yet");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Client {
    broker: Arc<dyn Broker>,
    max_payload: usize,
}

impl Client {
    /// A client of the broker at `url`.
    ///
    /// # Errors
    /// As for [`url::open`].
    pub async fn open(url: &BrokerUrl) -> Result<Self, BrokerError> {
        Ok(Self::from_broker(url::open(url, Clock::Broker).await?))
    }

    /// A client of a broker that is open already.
    pub fn from_broker(broker: Arc<dyn Broker>) -> Self {
        Self { broker, max_payload: DEFAULT_MAX_PAYLOAD }
    }

    /// The same client with another limit for payloads, in bytes; it is [`DEFAULT_MAX_PAYLOAD`] else.
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Hands one job over. Idempotent by the job's id, so repeating a call that failed is safe.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] if the job cannot be accepted as it is; else the broker's own.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, BrokerError> {
        let id = job.id.clone();
        let enqueued = self.enqueue_all(vec![job]).await?;
        Ok(enqueued.into_iter().next().unwrap_or(Enqueued { id, created: false }))
    }

    /// Hands many jobs over, in their order. If one of them cannot be accepted as it is, none is. A broker that fails
    /// half way may have accepted the first of them: hand the same jobs over again, the ids see to the rest.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`], naming the first job that cannot be accepted; else the broker's own.
    pub async fn enqueue_all(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, BrokerError> {
        for job in &jobs {
            job.validate(self.max_payload).map_err(BrokerError::Invalid)?;
        }
        let mut enqueued = Vec::with_capacity(jobs.len());
        for chunk in chunks(jobs) {
            enqueued.extend(self.broker.enqueue(chunk).await?);
        }
        Ok(enqueued)
    }

    /// Hands a batch over: all of it, or nothing. Idempotent by the batch's id.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] if it cannot be accepted as it is; else the broker's own.
    pub async fn enqueue_batch(&self, batch: &Batch) -> Result<Enqueued, BrokerError> {
        batch.validate(self.max_payload).map_err(BrokerError::Invalid)?;
        self.broker.enqueue_batch(batch).await
    }

    /// The result of a job that succeeded, while it is kept.
    ///
    /// # Errors
    /// The broker's own.
    pub async fn result(&self, id: &JobId) -> Result<Option<Vec<u8>>, BrokerError> {
        self.broker.result(id).await
    }

    /// Waits until a job has ended, well or badly; `None` if it has not within `timeout`.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] if there is no such job (any more); else the broker's own.
    pub async fn wait_for_result(&self, id: &JobId, timeout: Duration) -> Result<Option<Finished>, BrokerError> {
        watch::wait(&*self.broker, id, timeout).await
    }

    /// Watches a job: as [`Client::wait_for_result`], with its progress and its log meanwhile.
    pub fn watch(&self, id: &JobId) -> Watch {
        Watch::new(self.broker.clone(), id.clone())
    }
}

/// The same jobs in the same order, in chunks that one call can carry.
fn chunks(jobs: Vec<NewJob>) -> Vec<Vec<NewJob>> {
    let mut chunks: Vec<Vec<NewJob>> = Vec::new();
    let mut bytes = 0_usize;
    for job in jobs {
        bytes = bytes.saturating_add(job.payload.len());
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_JOBS && bytes <= CHUNK_BYTES => chunk.push(job),
            _ => {
                bytes = job.payload.len();
                chunks.push(vec![job]);
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_the_order_and_their_bounds() {
        let jobs: Vec<_> =
            (0..2_500).map(|n| NewJob::new("t", vec![0; if n % 1_000 == 7 { CHUNK_BYTES } else { 9 }])).collect();
        let chunked = chunks(jobs.clone());
        for chunk in &chunked {
            let bytes: usize = chunk.iter().map(|job| job.payload.len()).sum();
            assert!(chunk.len() <= CHUNK_JOBS && (bytes <= CHUNK_BYTES || chunk.len() == 1));
        }
        assert_eq!(chunked.concat(), jobs);
    }
}
