//! A look at an attempt while it runs: its progress and its newest log lines, without waiting for the report.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::logbook::Newest;
use crate::report::LogLine;

/// A window into one attempt. The guest's side puts in what it says, and somebody outside takes it out whenever he likes;
/// nobody needs to. Clones are the same window.
///
/// What nobody takes is bounded like the log of the report, newest lines first. Both sides hold its lock only while they
/// move what is ready: the guest never waits for a reader who is at work with what he took.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<Seen>>);

/// What is new since the last look.
struct Seen {
    progress: Option<f64>,
    /// The progress of the last look: the same again is nothing new.
    told: Option<f64>,
    lines: Newest,
    missed: u64,
}

/// What an attempt said since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Glimpse {
    /// How far it is, from 0 to 1, where that has changed.
    pub progress: Option<f64>,
    /// The newest lines, oldest first; the text is the guest's, so escape it before a person sees it.
    pub lines: Vec<LogLine>,
    /// How many lines before these came and went unseen, for want of room.
    pub missed: u64,
}

impl Watch {
    /// A window that keeps at most `room` bytes of log lines between two looks; a line costs its text and the room of its
    /// record.
    pub fn new(room: usize) -> Self {
        Self(Arc::new(Mutex::new(Seen { progress: None, told: None, lines: Newest::new(room), missed: 0 })))
    }

    /// Takes what is new since the last call, or `None` where nothing is. Cheap, and never waits for the guest.
    pub fn take(&self) -> Option<Glimpse> {
        let mut seen = self.lock();
        let progress = seen.progress.filter(|&progress| seen.told != Some(progress));
        seen.told = seen.progress;
        let (lines, missed) = (seen.lines.take(), mem::take(&mut seen.missed));
        drop(seen);
        let glimpse = Glimpse { progress, lines: lines.into(), missed };
        (glimpse != Glimpse::default()).then_some(glimpse)
    }

    /// The guest is that far.
    pub(crate) fn progress(&self, fraction: f64) {
        self.lock().progress = Some(fraction);
    }

    /// The guest logged that.
    pub(crate) fn line(&self, line: LogLine) {
        let mut seen = self.lock();
        seen.missed += seen.lines.push(line);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing under this lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watch {
    /// Without what was said: a log is not for another log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use afresh_protocol::abi::LogLevel;

    use super::*;

    fn line(text: impl ToString) -> LogLine {
        LogLine { level: LogLevel::Info, text: text.to_string() }
    }

    #[test]
    fn a_look_tells_what_is_new_and_the_next_one_nothing() {
        let watch = Watch::new(4096);
        assert_eq!(watch.take(), None);
        watch.line(line("one"));
        watch.progress(0.25);
        let glimpse = watch.take().unwrap();
        assert_eq!((glimpse.progress, glimpse.lines, glimpse.missed), (Some(0.25), vec![line("one")], 0));
        assert_eq!(watch.take(), None);
    }

    #[test]
    fn the_same_progress_again_is_nothing_new() {
        let watch = Watch::new(4096);
        for (reported, told) in [(0.5, Some(0.5)), (0.5, None), (0.75, Some(0.75)), (0.5, Some(0.5))] {
            watch.progress(reported);
            assert_eq!(watch.take().and_then(|glimpse| glimpse.progress), told);
        }
        watch.line(line("a line brings no progress with it"));
        assert_eq!(watch.take().unwrap().progress, None);
    }

    #[test]
    fn a_storm_nobody_looks_at_stays_within_the_room_and_is_counted() {
        let cost = size_of::<LogLine>() + 2;
        let watch = Watch::new(10 * cost);
        for round in 1..=2 {
            (10..99).for_each(|n| watch.line(line(n)));
            let glimpse = watch.take().unwrap();
            assert_eq!(glimpse.lines, (89..99).map(line).collect::<Vec<_>>(), "round {round}");
            assert_eq!(glimpse.missed, 79, "round {round}");
        }
    }

    #[test]
    fn a_line_larger_than_the_room_is_missed_and_said_to_be() {
        let watch = Watch::new(100);
        watch.line(line("x".repeat(101)));
        assert_eq!(watch.take(), Some(Glimpse { missed: 1, ..Glimpse::default() }));
    }
}
