//! What a guest logs: the newest lines within a bound, and a count of everything.

use std::collections::VecDeque;
use std::mem;

use afresh_protocol::abi::LogLevel;
use afresh_protocol::error::elision;

use crate::report::LogLine;
use crate::secrets::Secrets;
use crate::watch::Watch;

/// Bytes of one line that are kept; what follows is counted and dropped.
const MAX_LINE: usize = 8 << 10;

/// The newest lines of an attempt for its report, and the way of each line to who looks on.
pub(crate) struct LogBook {
    lines: Newest,
    total: u64,
    watch: Option<Watch>,
    secrets: Secrets,
}

impl LogBook {
    pub(crate) fn new(room: usize, watch: Option<Watch>, secrets: Secrets) -> Self {
        Self { lines: Newest::new(room), total: 0, watch, secrets }
    }

    /// Adds one line; its text may be of any length.
    pub(crate) fn line(&mut self, level: LogLevel, text: &[u8]) {
        self.total += text.len() as u64;
        let redacted = self.secrets.redact_start(text, MAX_LINE);
        let kept = &redacted[..redacted.len().min(MAX_LINE)];
        let missing = if text.len() > MAX_LINE { text.len().saturating_sub(kept.len()) } else { 0 };
        self.keep(level, kept, missing);
    }

    /// Bytes logged, kept or not.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Takes the newest lines out, oldest first.
    pub(crate) fn take_lines(&mut self) -> Vec<LogLine> {
        self.lines.take().into()
    }

    fn keep(&mut self, level: LogLevel, text: &[u8], missing: usize) {
        let mut text = String::from_utf8_lossy(text).into_owned();
        if missing > 0 {
            text += elision(missing as u64).trim_ascii_end();
        }
        let line = LogLine { level, text };
        if let Some(watch) = &self.watch {
            watch.line(line.clone());
        }
        self.lines.push(line);
    }
}

/// The newest lines within `room` bytes. A line costs its text and the room of its record, so that a million empty lines
/// are bounded too.
pub(crate) struct Newest {
    room: usize,
    lines: VecDeque<LogLine>,
    used: usize,
}

impl Newest {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, lines: VecDeque::new(), used: 0 }
    }

    /// Adds a line, and answers how many had to go for it; a line that never fits goes itself.
    pub(crate) fn push(&mut self, line: LogLine) -> u64 {
        let cost = |line: &LogLine| line.text.len() + size_of::<LogLine>();
        if cost(&line) > self.room {
            return 1;
        }
        self.used += cost(&line);
        self.lines.push_back(line);
        let mut gone = 0;
        while self.used > self.room {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.used -= cost(&oldest);
            gone += 1;
        }
        gone
    }

    /// Takes the lines out, oldest first.
    pub(crate) fn take(&mut self) -> VecDeque<LogLine> {
        self.used = 0;
        mem::take(&mut self.lines)
    }
}

/// Makes lines out of a stream of bytes, such as a guest's stderr.
#[derive(Default)]
pub(crate) struct Lines {
    start: Vec<u8>,
    missing: usize,
}

impl Lines {
    /// Adds `bytes` to the stream; every line that ends in them goes into `book`.
    pub(crate) fn push(&mut self, bytes: &[u8], book: &mut LogBook) {
        book.total += bytes.len() as u64;
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let kept = text.len().min(MAX_LINE - self.start.len());
            self.start.extend_from_slice(&text[..kept]);
            self.missing += text.len() - kept;
            if text.len() < piece.len() {
                self.end_line(book);
            }
        }
    }

    /// The stream is over: what has no line end is a line as well.
    pub(crate) fn finish(&mut self, book: &mut LogBook) {
        if !self.start.is_empty() {
            self.end_line(book);
        }
    }

    fn end_line(&mut self, book: &mut LogBook) {
        let text = self.start.strip_suffix(b"\r").unwrap_or(&self.start);
        book.keep(LogLevel::Info, text, self.missing);
        self.start.clear();
        self.missing = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(room: usize) -> LogBook {
        LogBook::new(room, None, Secrets::default())
    }

    fn texts(mut book: LogBook) -> Vec<String> {
        book.take_lines().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn the_newest_lines_stay_and_all_are_counted() {
        let mut book = book(10 * (size_of::<LogLine>() + 2));
        (0..99).for_each(|n| book.line(LogLevel::Warn, format!("{n:02}").as_bytes()));
        assert_eq!(book.total(), 198);
        assert_eq!(texts(book), (89..99).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_stream_becomes_lines_however_it_comes() {
        for size in [1, 2, 3, 100] {
            let (mut book, mut lines) = (book(4096), Lines::default());
            b"one\r\n\ntwo\nthree".chunks(size).for_each(|piece| lines.push(piece, &mut book));
            lines.finish(&mut book);
            assert_eq!(book.total(), 15);
            assert_eq!(texts(book), ["one", "", "two", "three"]);
        }
    }

    #[test]
    fn a_line_without_end_is_cut_and_says_so() {
        let (mut book, mut lines) = (book(64 << 10), Lines::default());
        (0..1000).for_each(|_| lines.push(&[b'x'; 1000], &mut book));
        lines.finish(&mut book);
        assert_eq!(book.total(), 1_000_000);
        let text = texts(book).pop().unwrap();
        assert!(text.len() < MAX_LINE + 64 && text.ends_with("bytes cut]…"), "{}", text.len());
    }
}
