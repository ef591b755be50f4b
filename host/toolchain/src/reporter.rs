//! How what goes on is told while compilers run.

use std::fmt;

/// Says on stderr what is going on, unless it is to be quiet.
#[derive(Clone, Copy, Debug)]
pub struct Reporter {
    quiet: bool,
}

impl Reporter {
    /// One that speaks, or one that is quiet.
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Whether only what went wrong is to be said.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Says one line.
    pub fn say(&self, line: impl fmt::Display) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }
}
