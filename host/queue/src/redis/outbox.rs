//! Jobs that attempts enqueued into other queues than their own. A script touches one queue, since another may live on
//! another server of a cluster; so the settlement leaves them in its own queue's outbox, in the same step, and whoever
//! promotes that queue brings them to theirs. Should he vanish in between, somebody does it again: the ids see to it that a
//! job is there once.

use super::record::Letter;
use super::{RedisBroker, scripts};
use crate::broker::BrokerError;

impl RedisBroker {
    /// Brings jobs to their queues; true if there were any, so that somebody has to look again.
    pub(super) async fn send(&self, from: &str, letters: Vec<Letter>) -> Result<bool, BrokerError> {
        if letters.is_empty() {
            return Ok(false);
        }
        let mut sent = self.call(&scripts::SENT, from);
        for Letter { name, queue, job } in letters {
            let mut call = self.call(&scripts::ENQUEUE, &queue);
            for text in job {
                call.arg(text);
            }
            // Its queue may be new.
            self.list(&queue).await?;
            match self.link.invoke::<Vec<redis::Value>>(&call).await {
                Ok(_) => {}
                // Nobody can accept it, ever: it must not stand in the others' way.
                Err(BrokerError::Invalid(reason)) => {
                    tracing::error!(from, queue, "a job that a task enqueued is dropped: {reason}");
                }
                Err(error) => return Err(error),
            }
            sent.arg(name);
        }
        let (): () = self.link.invoke(&sent).await?;
        Ok(true)
    }
}
