//! What was heard of queues since somebody last looked: how an idle worker is woken without polling and without losing
//! a wake-up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::broker::Waited;

/// Counts what is heard of each queue, and remembers how much of it was known when the last look *began*.
///
/// A script sends a message when a queue stops being empty. A worker waits only after a lease that came back short, so
/// it has seen its queue empty; a message that comes after that lease began is not yet known, and the wait that follows
/// returns at once. So a message between the lease and the wait is not lost. A message that something is due earlier than
/// promote told is also unknown until promote has looked, for no lease finds out when. A connection that breaks may lose
/// messages: whoever makes a new one calls [`News::of_all`]. About a queue nobody looked into yet there is always news.
#[derive(Default)]
pub(super) struct News {
    queues: Mutex<HashMap<String, Heard>>,
    bell: Notify,
}

#[derive(Default)]
struct Heard {
    count: u64,
    /// How much of that the last lease knew.
    leased: u64,
    /// How much of it was of what is due.
    due: u64,
    /// How much of that promote knew.
    promoted: u64,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// There may be something to lease.
    Ready,
    /// Something may be due before all that was.
    Due,
}

/// Who looks into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Lease,
    Promote,
}

impl News {
    /// Somebody begins to look into this queue: what was heard before is known to them.
    pub(super) fn look(&self, queue: &str, who: Look) {
        let mut queues = self.queues();
        // Not by `entry`: the name is there already but for the first time.
        if !queues.contains_key(queue) {
            queues.insert(queue.to_owned(), Heard::default());
        }
        if let Some(heard) = queues.get_mut(queue) {
            match who {
                Look::Lease => heard.leased = heard.count,
                Look::Promote => heard.promoted = heard.due,
            }
        }
    }

    /// There may be something in this queue.
    pub(super) fn of(&self, queue: &str, what: What) {
        if let Some(heard) = self.queues().get_mut(queue) {
            heard.hear(what);
        }
        self.bell.notify_waiters();
    }

    /// There may be something in any queue.
    pub(super) fn of_all(&self) {
        self.queues().values_mut().for_each(|heard| heard.hear(What::Due));
        self.bell.notify_waiters();
    }

    /// Waits until there is news of one of these queues. It wakes everybody who waits for it; a caller that waits again
    /// without looking is not woken twice by the same news, so it cannot spin.
    pub(super) async fn wait(&self, queues: &[String]) -> Waited {
        let mut before: Option<Vec<u64>> = None;
        loop {
            let bell = self.bell.notified();
            tokio::pin!(bell);
            // Enabled before the check: a bell between the check and the await is heard.
            bell.as_mut().enable();
            let (now, unknown, due) = self.learn(queues);
            if before.as_ref().map_or(unknown, |before| *before != now) {
                return if due { Waited::Due } else { Waited::Ready };
            }
            before = Some(now);
            bell.await;
        }
    }

    /// How much was heard of each of these queues, whether any of it was unknown until now, and whether that is of what is
    /// due.
    fn learn(&self, names: &[String]) -> (Vec<u64>, bool, bool) {
        let mut queues = self.queues();
        let (mut unknown, mut due) = (false, false);
        let counts = names.iter().map(|name| match queues.get_mut(name) {
            Some(heard) => {
                due |= heard.promoted != heard.due;
                unknown |= due || heard.leased != heard.count;
                (heard.leased, heard.promoted) = (heard.count, heard.due);
                heard.count
            }
            None => {
                (unknown, due) = (true, true);
                queues.insert(name.clone(), Heard::default());
                0
            }
        });
        let counts = counts.collect();
        (counts, unknown, due)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Heard>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn hear(&mut self, what: What) {
        self.count += 1;
        self.due += u64::from(what == What::Due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn poll(wait: std::pin::Pin<&mut impl Future<Output = Waited>>) -> bool {
        wait.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn who_waits_hears_whether_a_look_of_promote_is_needed() {
        let (news, mail) = (News::default(), ["mail".to_owned()]);
        let hears = |what| {
            [Look::Lease, Look::Promote].into_iter().for_each(|who| news.look("mail", who));
            news.of("mail", what);
            pin!(news.wait(&mail)).poll(&mut Context::from_waker(Waker::noop()))
        };
        assert_eq!(hears(What::Ready), Poll::Ready(Waited::Ready));
        assert_eq!(hears(What::Due), Poll::Ready(Waited::Due));
        assert_eq!(hears(What::Ready), Poll::Ready(Waited::Ready), "that was told already");
    }

    #[test]
    fn a_message_between_a_look_and_the_wait_is_not_lost_and_is_news_only_once() {
        let (news, mail) = (News::default(), ["mail".to_owned()]);
        assert!(poll(pin!(news.wait(&mail))), "nobody has looked yet");
        news.look("mail", Look::Lease);
        assert!(!poll(pin!(news.wait(&mail))), "a quiet queue");
        news.look("mail", Look::Lease);
        news.of("mail", What::Ready);
        assert!(poll(pin!(news.wait(&mail))));
        assert!(!poll(pin!(news.wait(&mail))), "the same news must not wake twice");
    }

    #[test]
    fn a_message_of_what_is_due_is_news_until_both_lease_and_promote_have_looked() {
        let (news, mail) = (News::default(), ["mail".to_owned()]);
        for (first, second) in [(Look::Lease, Look::Promote), (Look::Promote, Look::Lease)] {
            news.look("mail", first);
            news.of("mail", What::Due);
            news.look("mail", first);
            assert!(poll(pin!(news.wait(&mail))), "{second:?} has not looked");
            news.of("mail", What::Due);
            news.look("mail", first);
            news.look("mail", second);
            assert!(!poll(pin!(news.wait(&mail))));
        }
    }

    #[test]
    fn news_wakes_everybody_who_waits_for_that_queue_and_nobody_else() {
        let (news, mail, print) = (News::default(), ["mail".to_owned()], ["print".to_owned()]);
        news.look("mail", Look::Lease);
        news.look("print", Look::Lease);
        let (mut one, mut two, mut three) = (pin!(news.wait(&mail)), pin!(news.wait(&mail)), pin!(news.wait(&print)));
        assert!(!poll(one.as_mut()) && !poll(two.as_mut()) && !poll(three.as_mut()));
        news.of("mail", What::Ready);
        assert!(poll(one.as_mut()) && poll(two.as_mut()) && !poll(three.as_mut()));
        news.of_all();
        assert!(poll(three.as_mut()));
    }
}
