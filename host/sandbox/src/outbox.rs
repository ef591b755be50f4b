//! The one way by which an attempt asks for further work: requests that go, unread, into whatever box the host holds out.
//! What they ask for, and whether anything comes of them, is the host's business.

use std::fmt;
use std::sync::Arc;

pub use afresh_protocol::abi::Refusal;
use afresh_protocol::enqueue::MAX_SPEC_BYTES;

use crate::limits::Limits;

/// Where the requests of one attempt go.
///
/// It is called on the guest's thread, with bytes in the guest's memory, so it should be quick and copy what it keeps.
/// Both parts are within the limits of the attempt. It must not panic: that would end the attempt as an error of ours.
///
/// Whoever holds it decides what becomes of it all when the attempt is over: of one that did not succeed the requests
/// should be dropped.
pub trait Outbox: Send + Sync {
    /// Takes one request: `spec` says what it is (see [`afresh_protocol::enqueue::Request`]), `payload` is any bytes.
    ///
    /// # Errors
    /// Why it is not taken; then nothing may be kept of it.
    fn put(&self, spec: &[u8], payload: &[u8]) -> Result<(), Refusal>;
}

impl fmt::Debug for dyn Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbox")
    }
}

/// The way to an outbox, where there is one, and its walls: they are tested before anybody copies anything.
pub(crate) struct Gate {
    outbox: Option<Arc<dyn Outbox>>,
    /// Requests that may still be put.
    requests: u32,
    /// Bytes that may still be put.
    bytes: usize,
}

impl Gate {
    pub(crate) fn new(outbox: Option<Arc<dyn Outbox>>, limits: &Limits) -> Self {
        Self { outbox, requests: limits.requests, bytes: limits.outbox }
    }

    /// Puts one request. What is refused counts against no limit.
    pub(crate) fn put(&mut self, spec: &[u8], payload: &[u8]) -> Result<(), Refusal> {
        let outbox = self.outbox.as_ref().ok_or(Refusal::NotAllowed)?;
        let left = self.bytes.checked_sub(spec.len()).and_then(|bytes| bytes.checked_sub(payload.len()));
        let (Some(requests), Some(bytes)) = (self.requests.checked_sub(1), left) else {
            return Err(Refusal::OverLimit);
        };
        if spec.len() > MAX_SPEC_BYTES {
            return Err(Refusal::OverLimit);
        }
        outbox.put(spec, payload)?;
        (self.requests, self.bytes) = (requests, bytes);
        Ok(())
    }
}
