//! The one thing of a failed attempt that outlives it: a record bounded in bytes, whatever the guest wrote.

use serde::{Deserialize, Serialize};

/// What is kept of an error: head and tail of its text, its whole length and hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// What went wrong, in one word: the outcome's kind, or a finer one such as `bad_payload`.
    pub kind: String,
    /// The text; where it was too long, its head, a mark that says how many bytes are missing, and its tail.
    pub message: String,
    /// Length in bytes of the whole text.
    pub total_bytes: u64,
    /// Whether `message` is less than the whole text.
    pub truncated: bool,
    /// SHA-256 of the whole text, in hexadecimal; empty where nobody saw the whole text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

impl ErrorRecord {
    /// A record of a text that we wrote ourselves, or that is already bounded.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind: kind.into(), total_bytes: message.len() as u64, message, truncated: false, sha256: String::new() }
    }

    /// The same record with a message of at most `max` bytes (at least 64): the head (three quarters) and the tail stay.
    pub fn shortened(mut self, max: usize) -> Self {
        let max = max.max(64);
        if self.message.len() <= max {
            return self;
        }
        let room = max - ELISION_ROOM;
        let head = floor_boundary(&self.message, room * 3 / 4);
        let tail = ceil_boundary(&self.message, self.message.len() - room / 4);
        let kept = head + (self.message.len() - tail);
        let missing = self.total_bytes.saturating_sub(kept as u64);
        self.message = format!("{}{}{}", &self.message[..head], elision(missing), &self.message[tail..]);
        self.truncated = true;
        self
    }
}

/// Bytes the mark between head and tail can take at most: its words and twenty digits.
pub const ELISION_ROOM: usize = 48;

/// The mark that stands where `missing` bytes were cut out.
pub fn elision(missing: u64) -> String {
    format!(" …[{missing} bytes cut]… ")
}

/// The largest character boundary of `text` that is at most `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// The smallest character boundary of `text` that is at least `at`.
fn ceil_boundary(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_stays_as_it_is() {
        let record = ErrorRecord::new("failed", "no such file");
        assert_eq!(record.clone().shortened(64), record);
    }

    #[test]
    fn a_long_message_keeps_head_and_tail_within_the_bound() {
        let text = format!("start{}end", "é".repeat(10_000));
        for max in [64, 65, 66, 67, 100, 4096] {
            let record = ErrorRecord::new("failed", text.clone()).shortened(max);
            assert!(record.message.len() <= max, "{} > {max}", record.message.len());
            assert!(record.truncated && record.total_bytes == text.len() as u64);
            assert!(record.message.starts_with("start") && record.message.ends_with("end"));
        }
    }
}
