//! The words of a module: what its code compares payloads with, such as the keys of its JSON. Chance does not find those.

use wasmparser::{DataKind, Operator, Parser, Payload};

use crate::oracle::contains;

/// Words and numbers that payloads are made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dictionary {
    /// Out of the module.
    words: Vec<String>,
    /// Numbers that its code names.
    numbers: Vec<i64>,
    /// Out of what it says of payloads, such as `missing field`: few, and worth more.
    said: Vec<String>,
}

/// The most words, and numbers, of a module; and of what it says.
const MOST: usize = 4096;
const MOST_SAID: usize = 256;

/// The longest word in bytes.
const LONGEST: usize = 40;

/// Between the pointer and the length of a text there are at most so many other constants.
const APART: usize = 3;

impl Dictionary {
    /// The words of a module that was checked. Rust's texts lie in its data without a mark between them, so a pointer and
    /// a length beside it, in the data or among the code's constants, are looked for; C's end with a zero.
    pub(crate) fn of(wasm: &[u8]) -> Self {
        let (data, constants) = survey(wasm);
        let mut words: Vec<String> = Vec::new();
        for (_, bytes) in &data {
            let numbers: Vec<u64> = bytes.chunks_exact(4).map(|four| u64::from(little_endian(four))).collect();
            words.extend(numbers.array_windows().filter_map(|&[at, len]| text_at(&data, at, len)));
            let runs = bytes.split(|byte| !byte.is_ascii_graphic());
            // Also without its quotes and the like, as a word of its own.
            words.extend(runs.flat_map(|run| [run, trim(run)]).filter_map(word));
        }
        for (place, &at) in constants.iter().enumerate() {
            let beside = constants[place + 1..].iter().take(APART);
            words.extend(beside.filter_map(|&len| text_at(&data, u64::try_from(at).ok()?, u64::try_from(len).ok()?)));
            // A comparison with a short text is one with a number.
            words.extend(word(at.to_le_bytes().trim_ascii_end().split(|&byte| byte == 0).next().unwrap_or_default()));
        }
        words.sort_unstable();
        words.dedup();
        let mut numbers = constants;
        numbers.sort_unstable();
        numbers.dedup();
        Self { words: thinned(words), numbers: thinned(numbers), said: Vec::new() }
    }

    /// Takes up the words in quotes that a message says and the payload does not.
    pub(crate) fn hear(&mut self, message: &str, payload: &[u8]) {
        let quoted = message.split(['`', '"', '\'']).skip(1).step_by(2);
        for said in quoted.filter_map(|text| word(text.as_bytes())) {
            if self.said.len() < MOST_SAID && !self.said.contains(&said) && !contains(payload, said.as_bytes()) {
                self.said.push(said);
            }
        }
    }

    /// One of the words, by a random number; half of the time one that was said, if any was.
    pub(crate) fn word(&self, random: u64) -> Option<&str> {
        let list = if random & 1 == 0 && !self.said.is_empty() { &self.said } else { &self.words };
        let place = (random >> 1).checked_rem(list.len() as u64)?;
        list.get(usize::try_from(place).ok()?).map(String::as_str)
    }

    /// One of the numbers, by a random number.
    pub(crate) fn number(&self, random: u64) -> Option<i64> {
        let place = random.checked_rem(self.numbers.len() as u64)?;
        self.numbers.get(usize::try_from(place).ok()?).copied()
    }
}

/// The data of a module with where it lies in memory, and the constants of its code, in their order.
fn survey(wasm: &[u8]) -> (Vec<(u64, &[u8])>, Vec<i64>) {
    let (mut data, mut constants) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::DataSection(segments)) => data.extend(segments.into_iter().flatten().filter_map(|segment| {
                let DataKind::Active { offset_expr, .. } = segment.kind else { return None };
                match offset_expr.get_operators_reader().read() {
                    Ok(Operator::I32Const { value }) => Some((u64::from(value.cast_unsigned()), segment.data)),
                    _ => None,
                }
            })),
            Ok(Payload::CodeSectionEntry(body)) => {
                let operators = body.get_operators_reader().into_iter().flatten().flatten();
                constants.extend(operators.filter_map(|operator| match operator {
                    Operator::I32Const { value } => Some(i64::from(value)),
                    Operator::I64Const { value } => Some(value),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    (data, constants)
}

fn text_at(data: &[(u64, &[u8])], at: u64, len: u64) -> Option<String> {
    if !(2..=LONGEST as u64).contains(&len) {
        return None;
    }
    let (from, bytes) = data.iter().find(|(from, bytes)| (*from..*from + bytes.len() as u64).contains(&at))?;
    let start = usize::try_from(at - from).ok()?;
    word(bytes.get(start..start + usize::try_from(len).ok()?)?)
}

/// The bytes as a word: such as a key, a name, a path, and no sentence.
fn word(bytes: &[u8]) -> Option<String> {
    let fits = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    fits.then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric();
    let start = bytes.iter().position(is_letter).unwrap_or(0);
    let end = bytes.iter().rposition(is_letter).map_or(bytes.len(), |last| last + 1);
    &bytes[start..end]
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// At most [`MOST`], evenly out of all.
fn thinned<T>(list: Vec<T>) -> Vec<T> {
    let step = list.len().div_ceil(MOST).max(1);
    list.into_iter().step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_lie_side_by_side_are_told_apart_by_pointers_and_lengths() {
        let wasm = wat::parse_str(
            r#"(module (memory 1)
              (data (i32.const 1024) "widthmode\00\00\00\00\04\00\00\09\00\00\00plain\00")
              (data (i32.const 2048) "\05\04\00\00\04\00\00\00")
              (func (drop (i32.const 1024)) (drop (i32.const 5)) (drop (i32.const 0x6f6f66)) (drop (i64.const 4711))))"#,
        );
        let dictionary = Dictionary::of(&wasm.unwrap());
        for word in ["width", "mode", "plain", "foo"] {
            assert!(dictionary.words.iter().any(|known| known == word), "{word}: {:?}", dictionary.words);
        }
        assert!(dictionary.numbers.contains(&4711));
    }

    #[test]
    fn what_a_message_quotes_is_a_word_unless_the_payload_said_it() {
        let mut dictionary = Dictionary::default();
        assert_eq!(dictionary.word(0), None);
        dictionary.hear("unknown variant `abc`, expected `error` or `panic`", b"\"abc\"");
        assert_eq!(dictionary.said, ["error", "panic"]);
        assert_eq!(dictionary.word(2), Some("panic"));
    }
}
