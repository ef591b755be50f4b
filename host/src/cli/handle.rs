//! A broker as the short verbs hold it: no call waits for ever, and every failure says which broker and what to do.

use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Broker, BrokerError, BrokerUrl};
use anyhow::anyhow;

use super::Session;

/// How long a broker may take to say that it is there.
const REACH: Duration = Duration::from_secs(3);

/// How long a broker that is there may take for one answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A broker that has answered once.
pub(super) struct Handle {
    /// The broker itself; its calls go through [`Handle::ask`].
    pub(super) broker: Arc<dyn Broker>,
    url: BrokerUrl,
}

impl Handle {
    /// Opens the session's broker and checks that it serves, within seconds.
    ///
    /// # Errors
    /// When it does not, with its URL (never its credentials) and what to do.
    pub(super) async fn open(session: &Session) -> anyhow::Result<Self> {
        let broker = session.open_broker().await?;
        let handle = Self { broker, url: session.broker_url() };
        handle.within(REACH, handle.broker.check()).await?;
        Ok(handle)
    }

    /// Where the broker is, without credentials.
    pub(super) fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// Waits for one answer of the broker.
    ///
    /// # Errors
    /// When there is none in time, or it is a failure; with the broker's URL and what to do.
    pub(super) async fn ask<T>(&self, call: impl Future<Output = Result<T, BrokerError>>) -> anyhow::Result<T> {
        self.within(ANSWER, call).await
    }

    async fn within<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<T, BrokerError>>,
    ) -> anyhow::Result<T> {
        let advice = "start it, or name another one with --broker or AFRESH_BROKER";
        let url = &self.url;
        match tokio::time::timeout(patience, call).await {
            // A broker's own words name it already.
            Ok(Err(error @ BrokerError::Unavailable(_))) if !url.is_embedded() => Err(anyhow!("{error}; {advice}")),
            Ok(answer) => Ok(answer?),
            Err(_) => Err(anyhow!("{url} has not answered within {} s; {advice}", patience.as_secs())),
        }
    }
}
