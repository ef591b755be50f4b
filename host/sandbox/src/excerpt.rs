//! Head and tail of a text of any length, in bounded memory, with its whole length and hash.

use std::collections::VecDeque;

use afresh_protocol::ErrorRecord;
use afresh_protocol::error::{ELISION_ROOM, elision};
use sha2::{Digest, Sha256};

use crate::check::hex;

/// Keeps the first three quarters and the last quarter of its room of what is pushed into it, and hashes all of it.
pub(crate) struct Excerpt {
    room: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    hash: Sha256,
}

impl Excerpt {
    /// An excerpt of at most `room` bytes.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, head: Vec::new(), tail: VecDeque::new(), total: 0, hash: Sha256::new() }
    }

    /// Appends `bytes`. Costs a hash over them, and copies at most the room.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.hash.update(bytes);
        let head_room = self.room * 3 / 4;
        let (head, rest) = bytes.split_at(bytes.len().min(head_room - self.head.len()));
        self.head.extend_from_slice(head);
        let tail_room = self.room - head_room;
        let rest = &rest[rest.len().saturating_sub(tail_room)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(tail_room);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// Whether anything was pushed.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The record of it: `lead` (ours, short), then the text, cut to the room where it is too long. Bytes that are not
    /// UTF-8 are replaced.
    pub(crate) fn into_record(mut self, kind: &str, lead: &str) -> ErrorRecord {
        let tail = self.tail.make_contiguous();
        let fits = self.total == (self.head.len() + tail.len()) as u64;
        let message = if fits {
            self.head.extend_from_slice(tail);
            String::from_utf8_lossy(&self.head).trim_ascii_end().to_owned()
        } else {
            // The mark between the two takes its room from the tail.
            let tail = &tail[ELISION_ROOM.min(tail.len())..];
            let (head, tail) = (trim_end(&self.head), trim_start(tail));
            let missing = self.total - (head.len() + tail.len()) as u64;
            let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
            format!("{head}{}{}", elision(missing), tail.trim_ascii_end())
        };
        let record = ErrorRecord {
            kind: kind.to_owned(),
            message: format!("{lead}{message}"),
            total_bytes: self.total,
            truncated: !fits,
            sha256: hex(&self.hash.finalize()),
        };
        // Each replaced byte becomes three, so a text that is not UTF-8 may need another cut.
        record.shortened(self.room + lead.len())
    }
}

/// Without the beginning of a character whose end was cut off.
fn trim_end(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(e) if e.error_len().is_none() => &bytes[..e.valid_up_to()],
        _ => bytes,
    }
}

/// Without the end of a character whose beginning was cut off.
fn trim_start(bytes: &[u8]) -> &[u8] {
    let continuation = bytes.iter().take(3).take_while(|&&byte| byte & 0xc0 == 0x80).count();
    &bytes[continuation..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(room: usize, pieces: &[&[u8]]) -> ErrorRecord {
        let mut excerpt = Excerpt::new(room);
        pieces.iter().for_each(|piece| excerpt.push(piece));
        excerpt.into_record("failed", "")
    }

    #[test]
    fn a_text_that_fits_stays_whole() {
        let record = excerpt(16, &[b"no such", b" file", b"!"]);
        assert_eq!((record.message.as_str(), record.total_bytes, record.truncated), ("no such file!", 13, false));
        assert_eq!(record.sha256, hex(&Sha256::digest(b"no such file!")));
    }

    #[test]
    fn a_long_text_keeps_head_and_tail_however_it_comes() {
        let text = format!("start{}end", "é".repeat(5_000));
        let whole = excerpt(1024, &[text.as_bytes()]);
        for size in [1, 7, 100, 4096] {
            let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
            assert_eq!(excerpt(1024, &pieces), whole);
        }
        assert!(whole.message.len() <= 1024 && whole.truncated && whole.total_bytes == text.len() as u64);
        assert!(whole.message.starts_with("starté") && whole.message.ends_with("éend"), "{}", whole.message);
        assert!(!whole.message.contains('\u{fffd}'));
    }

    #[test]
    fn bytes_that_are_not_text_stay_within_the_room() {
        for len in [10, 1024, 1025, 100_000] {
            let record = excerpt(1024, &[&vec![0xff; len]]);
            assert!(record.message.len() <= 1024, "{len}: {}", record.message.len());
        }
    }
}
