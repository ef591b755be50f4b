//! Secrets: what a guest is told, and nobody else. A guest may print one; so each passes a `Redactor` on its way to a
//! log or an error, in front of every cut: a part of a secret could not be found any more.
//!
//! What a guest has changed (encoded, split, turned round) cannot be found. This is for accidents, not against malice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;

use aho_corasick::automaton::Automaton as _;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, Input, MatchKind};

/// The fewest bytes of a secret, or of a line of it: less is in many texts by chance, and hiding it would tell it.
pub const MIN_SECRET_BYTES: usize = 8;

/// The most bytes of a secret.
pub const MAX_SECRET_BYTES: usize = 16 << 10;

/// One secret's value. It shows itself to nobody: neither `Debug` nor an error holds it.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret of this value.
    ///
    /// # Errors
    /// A sentence, without the value, that says what a secret must be.
    pub fn new(value: &str) -> Result<Self, String> {
        match value.trim().len() {
            ..MIN_SECRET_BYTES => Err(format!(
                "it has {} bytes, and less than {MIN_SECRET_BYTES} cannot be kept out of a log; use a longer secret",
                value.trim().len()
            )),
            _ if value.len() > MAX_SECRET_BYTES => {
                Err(format!("it has {} bytes, the limit is {MAX_SECRET_BYTES}", value.len()))
            }
            _ if value.contains('\0') => Err("it holds a NUL, which no environment variable can".to_owned()),
            _ => Ok(Self(value.into())),
        }
    }

    /// What the guest is told.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What is looked for: the whole; without the white space around it, since programs trim; and each of several lines,
    /// since programs log by the line.
    fn shapes(&self) -> impl Iterator<Item = &str> {
        let whole: &str = &self.0;
        let lines = whole.lines().map(str::trim).filter(|line| line.len() >= MIN_SECRET_BYTES);
        [whole, whole.trim()].into_iter().chain(lines)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secrets of a task, by the names of their variables. Clones are cheap.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Option<Arc<Known>>);

struct Known {
    named: Vec<(String, Secret)>,
    finder: NFA,
    /// What stands in the text in place of the pattern of this number.
    marks: Vec<String>,
}

impl Secrets {
    /// These secrets, each with its variable's name.
    ///
    /// # Errors
    /// When they are too large together to be looked for.
    pub fn new(named: Vec<(String, Secret)>) -> Result<Self, String> {
        if named.is_empty() {
            return Ok(Self::default());
        }
        let mut shapes = BTreeMap::new();
        for (name, secret) in &named {
            for shape in secret.shapes() {
                shapes.entry(shape).or_insert_with(|| format!("[secret {name}]"));
            }
        }
        let finder = NFA::builder().match_kind(MatchKind::LeftmostLongest).build(shapes.keys());
        let finder = finder.map_err(|error| format!("they cannot be looked for in what the task says: {error}"))?;
        let marks = shapes.into_values().collect();
        Ok(Self(Some(Arc::new(Known { named, finder, marks }))))
    }

    /// The names and the values.
    pub(crate) fn named(&self) -> &[(String, Secret)] {
        self.0.as_ref().map_or(&[], |known| &known.named)
    }

    /// The text without them; of a long one only the beginning, of at least `room` bytes, or all of it.
    pub(crate) fn redact_start<'a>(&self, text: &'a [u8], room: usize) -> Cow<'a, [u8]> {
        let Some(known) = &self.0 else { return Cow::Borrowed(text) };
        let seen = &text[..text.len().min(room.saturating_add(known.finder.max_pattern_len()))];
        let mut redacted = Vec::with_capacity(seen.len());
        known.pass(seen, seen.len() < text.len(), &mut |piece| redacted.extend_from_slice(piece));
        Cow::Owned(redacted)
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.named.iter().map(|(name, _)| name)).finish()
    }
}

impl Known {
    /// Passes `text` on, with the marks in it. Where there is more to come, what may be the beginning of a secret stays
    /// back; answers from where on.
    fn pass(&self, text: &[u8], more: bool, sink: &mut dyn FnMut(&[u8])) -> usize {
        let mut at = 0;
        let mut open = if more { self.open(text, 0) } else { text.len() };
        loop {
            match self.finder.try_find(&Input::new(text).span(at..text.len())) {
                Ok(Some(found)) if found.start() < open => {
                    sink(&text[at..found.start()]);
                    sink(self.marks[found.pattern().as_usize()].as_bytes());
                    at = found.end();
                }
                // It refuses an anchored or an overlapping search only, and this is neither.
                _ => {
                    sink(&text[at..open]);
                    return open;
                }
            }
            if at > open {
                open = self.open(text, at);
            }
        }
    }

    /// From where on, at `from` or later, the rest of the text may be the beginning of a secret.
    fn open(&self, text: &[u8], from: usize) -> usize {
        let from = from.max((text.len() + 1).saturating_sub(self.finder.max_pattern_len()));
        (from..text.len()).find(|&at| self.begins(&text[at..])).unwrap_or(text.len())
    }

    /// Whether a secret begins like this.
    fn begins(&self, text: &[u8]) -> bool {
        let Ok(mut state) = self.finder.start_state(Anchored::Yes) else { return true };
        text.iter().all(|&byte| {
            state = self.finder.next_state(Anchored::Yes, state, byte);
            !self.finder.is_dead(state)
        })
    }
}

/// Keeps secrets out of one stream of text, however it is cut into pieces.
pub(crate) struct Redactor {
    secrets: Secrets,
    /// What may be the beginning of a secret: less than the longest of them.
    held: Vec<u8>,
}

impl Redactor {
    pub(crate) fn new(secrets: &Secrets) -> Self {
        Self { secrets: secrets.clone(), held: Vec::new() }
    }

    /// Passes a piece on. Where there are no secrets that is all it does.
    pub(crate) fn push(&mut self, piece: &[u8], sink: &mut dyn FnMut(&[u8])) {
        let Some(known) = &self.secrets.0 else { return sink(piece) };
        if self.held.is_empty() {
            let open = known.pass(piece, true, sink);
            self.held.extend_from_slice(&piece[open..]);
        } else {
            self.held.extend_from_slice(piece);
            let open = known.pass(&self.held, true, sink);
            self.held.drain(..open);
        }
    }

    /// The stream is over: what was held back is no secret, or a whole one.
    pub(crate) fn finish(&mut self, sink: &mut dyn FnMut(&[u8])) {
        if let Some(known) = &self.secrets.0 {
            known.pass(&mem::take(&mut self.held), false, sink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let named = values.iter().enumerate().map(|(n, value)| (format!("S{n}"), Secret::new(value).unwrap()));
        Secrets::new(named.collect()).unwrap()
    }

    fn redacted<'a>(secrets: &Secrets, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let (mut redactor, mut out) = (Redactor::new(secrets), Vec::new());
        pieces.into_iter().for_each(|piece| redactor.push(piece, &mut |bytes| out.extend_from_slice(bytes)));
        redactor.finish(&mut |bytes| out.extend_from_slice(bytes));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_found_however_the_text_is_cut() {
        let secrets = secrets(&["hunter22", "hunter22-and-more", "22-and-less-than"]);
        for (text, expected) in [
            ("", ""),
            ("hunter2", "hunter2"),
            ("hunter22", "[secret S0]"),
            ("is hunter22.", "is [secret S0]."),
            ("hunter22-and-mor", "[secret S0]-and-mor"),
            ("hunter22-and-more", "[secret S1]"),
            ("hunter22hunter22-and-morehunter2", "[secret S0][secret S1]hunter2"),
            ("hhhunter22", "hh[secret S0]"),
            ("hunter22-and-less-than", "[secret S0]-and-less-than"),
            ("x22-and-less-than", "x[secret S2]"),
            ("hunter2\nhunter22\n", "hunter2\n[secret S0]\n"),
        ] {
            for size in 1..=text.len().max(1) {
                assert_eq!(redacted(&secrets, text.as_bytes().chunks(size)), expected, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn what_is_no_beginning_of_a_secret_is_not_held_back() {
        let (mut redactor, mut out) = (Redactor::new(&secrets(&["hunter22"])), Vec::new());
        redactor.push(b"one line\n", &mut |bytes| out.extend_from_slice(bytes));
        assert_eq!(out, b"one line\n");
        redactor.push(b"a hunt", &mut |bytes| out.extend_from_slice(bytes));
        assert_eq!(out, b"one line\na ");
    }

    #[test]
    fn lines_of_a_secret_and_trimmed_ones_are_found_too() {
        let secrets = secrets(&["-----BEGIN-----\r\nfirst line of it\r\nsecond line of it\r\n", "  padded-secret\n"]);
        let text = b"key: second line of it and padded-secret";
        assert_eq!(redacted(&secrets, [&text[..]]), "key: [secret S0] and [secret S1]");
        let whole = "a -----BEGIN-----\r\nfirst line of it\r\nsecond line of it\r\n b";
        assert_eq!(redacted(&secrets, whole.as_bytes().chunks(3)), "a [secret S0] b");
    }

    #[test]
    fn the_start_of_a_long_text_has_no_half_secret_at_its_end() {
        let secrets = secrets(&["hunter22"]);
        let text = "hunter22".repeat(1000);
        for room in 0..64 {
            let start = secrets.redact_start(text.as_bytes(), room);
            assert!(start.len() >= room && start.len() < 200, "{room}: {}", start.len());
            assert!(!String::from_utf8_lossy(&start).contains("hunt"), "{room}");
        }
        assert_eq!(&*secrets.redact_start(b"my hunter22", 100), b"my [secret S0]");
        assert_eq!(&*secrets.redact_start(b"my hunt", 100), b"my hunt");
    }

    #[test]
    fn no_text_about_a_secret_holds_it() {
        let value = "correct horse battery";
        let shown = format!("{:?} {:?}", Secret::new(value).unwrap(), secrets(&[value]));
        assert!(!shown.contains("horse") && shown.contains("S0"), "{shown}");
        for bad in ["short", "       7       ", "with a NUL\0", &"x".repeat(MAX_SECRET_BYTES + 1)] {
            let error = Secret::new(bad).unwrap_err();
            assert!(!error.contains(bad.trim()), "{error}");
        }
    }
}
