//! Jobs that attempts enqueued into other queues than their own. A script touches one queue, since another may live on
//! another server of a cluster; so the settlement leaves them in its own queue's outbox, in the same step, and whoever
//! promotes that queue brings them to theirs. Should he vanish in between, somebody does it again: the ids see to it that a
//! job is there once.

use super::record::Letter;
use super::{RedisBroker, scripts};
use crate::broker::BrokerError;
use crate::steps;

impl RedisBroker {
    /// Brings jobs to their queues. Where that fails the others go on, and it is tried again in half a minute: a Redis
    /// that is full, say, must be drained meanwhile.
    pub(super) async fn send(&self, from: &str, letters: Vec<Letter>) {
        for letter in letters {
            let name = letter.name.clone();
            if let Err(error) = self.send_one(from, letter).await {
                tracing::error!(from, "failed to bring {name} to its queue, it is tried again: {error}");
            }
        }
    }

    async fn send_one(&self, from: &str, letter: Letter) -> Result<(), BrokerError> {
        let Letter { name, queue, job } = letter;
        steps::reached("letter-taken");
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
        steps::reached("letter-brought");
        // One by one, so that none is brought twice because another failed.
        let mut sent = self.call(&scripts::SENT, from);
        self.link.invoke(sent.arg(name)).await
    }
}
