//! What a job's attempts logged: the newest lines, bounded in bytes, so that a task that logs for ever takes no more room
//! than one that logged a page. A broker stores one JSON object a line, adds new ones at the end and cuts whole lines off at
//! the front; only this file reads and writes them.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The most bytes a job's log has in a broker.
pub const MAX_LOG_BYTES: usize = 16 * 1024;

/// The most bytes of one line that are kept.
pub const MAX_LINE_BYTES: usize = 2 * 1024;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedLine {
    /// The attempt that logged it.
    pub attempt: u32,
    /// Its number within the attempt, from 1: lines that are gone have had theirs.
    pub number: u64,
    /// When the worker saw it.
    pub at: Timestamp,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The text.
    pub text: String,
}

/// Lines that a job logged, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct JobLog(Vec<LoggedLine>);

impl JobLog {
    /// The lines, oldest first.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &LoggedLine> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds lines, and cuts long ones.
    pub fn extend(&mut self, lines: impl IntoIterator<Item = LoggedLine>) {
        self.0.extend(lines.into_iter().map(|line| LoggedLine { text: head(line.text), ..line }));
    }

    /// The bytes that are added to what a broker stores.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in &self.0 {
            // Strings and integers only: this always serialises.
            bytes.extend(serde_json::to_vec(line).unwrap_or_default());
            bytes.push(b'\n');
        }
        bytes
    }

    /// Reads what was stored; what cannot be read is left out, and what was added twice is there once.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut lines: Vec<LoggedLine> = Vec::new();
        for line in bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()) {
            // By the whole line, not by its number: an attempt that cost none is run again under the same number.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        Self(lines)
    }

    /// Stored bytes with these lines added, and whole lines cut off at the front until [`MAX_LOG_BYTES`] are kept.
    pub(crate) fn append_to(&self, mut stored: Vec<u8>) -> Vec<u8> {
        stored.extend(self.encode());
        let surplus = stored.len().saturating_sub(MAX_LOG_BYTES);
        if surplus > 0 {
            let end = stored.iter().skip(surplus - 1).position(|&byte| byte == b'\n');
            stored.drain(..end.map_or(stored.len(), |end| surplus + end));
        }
        stored
    }
}

fn head(mut text: String) -> String {
    if text.len() > MAX_LINE_BYTES {
        let end = (0..=MAX_LINE_BYTES).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, text: &str) -> LoggedLine {
        LoggedLine { attempt: 1, number, at: Timestamp(0), level: "info".into(), text: text.into() }
    }

    #[test]
    fn what_is_stored_keeps_the_newest_lines_within_its_bounds() {
        let mut stored = Vec::new();
        for number in 1..=500 {
            // A control character takes six bytes in JSON: the worst text there is.
            let mut new = JobLog::default();
            new.extend([line(number, &"\u{1}".repeat(if number % 7 == 0 { 9_000 } else { 20 }))]);
            stored = new.append_to(stored);
            assert!(stored.len() <= MAX_LOG_BYTES, "{}", stored.len());
            let log = JobLog::decode(&stored);
            assert_eq!(log.lines().last().map(|line| line.number), Some(number), "the newest is kept");
            assert!(log.lines().map(|line| line.number).is_sorted());
        }
        let mut log = JobLog::default();
        log.extend((1..=2_000).map(|number| line(number, "x")));
        assert_eq!(log.append_to(stored).first(), Some(&b'{'), "whole lines are cut off");
    }

    #[test]
    fn what_was_added_twice_is_there_once_and_nonsense_is_left_out() {
        let mut log = JobLog::default();
        log.extend([line(1, "a"), line(2, "b")]);
        let mut stored = b"nonsense\n".to_vec();
        stored = log.append_to(log.append_to(stored));
        assert_eq!(JobLog::decode(&stored), log);
        assert!(JobLog::decode(b"").is_empty());
    }

    #[test]
    fn a_long_line_is_cut_between_two_letters() {
        let mut log = JobLog::default();
        log.extend([line(1, &"é".repeat(MAX_LINE_BYTES))]);
        assert_eq!(log.lines().next().unwrap().text.chars().count(), MAX_LINE_BYTES / 2 + 1);
    }
}
