//! How an idle worker waits: until there is something to lease or to promote, or a running job is to be cancelled.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{SqliteBroker, promoting, reaping};
use crate::broker::BrokerError;
use crate::lease::LeaseRef;

/// How often an idle worker looks whether another process has written. SQLite tells nobody, so looking is the only way;
/// one look is a read of one number in shared memory, some microseconds long, and no disk is touched.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl SqliteBroker {
    /// Waits until a worker may take or promote something in these queues.
    pub(super) async fn readied(&self, queues: &[String]) -> Result<(), BrokerError> {
        loop {
            // Listening begins, and the number is read, before the look: what is written after the look wakes us.
            let mut written = pin!(self.written.notified());
            written.as_mut().enable();
            let before = self.store.foreign_writes().await?;
            let of = queues.to_vec();
            let ready = self.store.read(move |view, now| promoting::ready(view, now, &of)).await?;
            let due = match ready {
                Some(Duration::ZERO) => return Ok(()),
                Some(wait) => Instant::now() + wait,
                None => Instant::now() + Duration::from_secs(3600),
            };
            tokio::select! {
                () = written => {}
                () = sleep_until(due) => {}
                changed = self.foreign_write(before) => changed?,
            }
        }
    }

    /// Waits until running jobs are to be cancelled that nobody was told of yet.
    pub(super) async fn asked_to_cancel(&self) -> Result<Vec<LeaseRef>, BrokerError> {
        loop {
            let mut asked = pin!(self.asked.notified());
            asked.as_mut().enable();
            let before = self.store.foreign_writes().await?;
            let news = self.told.news(self.store.read(|view, _| reaping::cancelling(view)).await?);
            if !news.is_empty() {
                return Ok(news);
            }
            tokio::select! {
                () = asked => {}
                changed = self.foreign_write(before) => changed?,
            }
        }
    }

    /// Waits until another process has written since that number was read.
    async fn foreign_write(&self, before: i64) -> Result<(), BrokerError> {
        while self.store.foreign_writes().await? == before {
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// The requests to cancel that were told already, for as long as they stand: so that nobody hears of one again and again
/// while its attempt comes to its end.
#[derive(Default)]
pub(super) struct Told(Mutex<HashSet<LeaseRef>>);

impl Told {
    /// Those of the standing requests that were not told yet; they are told now.
    fn news(&self, standing: Vec<LeaseRef>) -> Vec<LeaseRef> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = standing.iter().filter(|lease| !told.contains(*lease)).cloned().collect();
        *told = standing.into_iter().collect();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_once_and_forgotten_when_it_stands_no_more() {
        let lease = |token| LeaseRef { queue: "mail".into(), id: "job".parse().unwrap(), token };
        let told = Told::default();
        assert_eq!(told.news(vec![lease(1)]), [lease(1)]);
        assert_eq!(told.news(vec![lease(1), lease(2)]), [lease(2)]);
        assert_eq!(told.news(vec![lease(2)]), []);
        assert_eq!(told.0.lock().unwrap().len(), 1);
    }
}
