//! How far a run gets: a fuzzer whose inputs are all refused at the door finds nothing, and nobody would see it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60);

/// Counts one more of `what`. Prints all counts to stderr once a minute, and when the process ends in good order.
///
/// To be called on the fuzzer's thread only: each thread has counts of its own.
pub fn count(what: &'static str) {
    COUNTS.with_borrow_mut(|counts| counts.add(what));
}

thread_local! {
    static COUNTS: RefCell<Counts> = RefCell::new(Counts::new());
}

struct Counts {
    started: Instant,
    printed: Instant,
    of: BTreeMap<&'static str, u64>,
}

impl Counts {
    fn new() -> Self {
        let now = Instant::now();
        Self { started: now, printed: now, of: BTreeMap::new() }
    }

    fn add(&mut self, what: &'static str) {
        *self.of.entry(what).or_default() += 1;
        if self.printed.elapsed() >= EVERY {
            self.print();
            self.printed = Instant::now();
        }
    }

    /// The most frequent first, which is also how far things got: made, admitted, run, and the ends these had.
    fn print(&self) {
        let mut counts: Vec<_> = self.of.iter().map(|(what, count)| (*count, *what)).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let counts: Vec<_> = counts.iter().map(|(count, what)| format!("{what} {count}")).collect();
        eprintln!("counts of {} after {} s: {}", target(), self.started.elapsed().as_secs(), counts.join(", "));
    }
}

/// libFuzzer ends the process by `exit`, which drops what belongs to the main thread.
impl Drop for Counts {
    fn drop(&mut self) {
        self.print();
    }
}

fn target() -> String {
    let file = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
