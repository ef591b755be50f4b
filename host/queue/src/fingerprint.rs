//! What failures have in common: a short hash of an error's kind and message, in which everything that differs from job to
//! job (numbers, ids, addresses, quoted words) counts as the same. Failures with one fingerprint are shown as one group.

use afresh_protocol::ErrorRecord;
use sha2::{Digest as _, Sha256};

use crate::history::History;

/// Of a long message, so many bytes count.
const HEAD: usize = 1024;

/// The fingerprint of the newest attempt's error: 16 hexadecimal digits; empty where there is no error.
pub fn fingerprint(history: &History) -> String {
    let newest = history.attempts().first().and_then(|attempt| attempt.error.as_ref());
    newest.map(of_error).unwrap_or_default()
}

fn of_error(error: &ErrorRecord) -> String {
    let mut hash = Sha256::new();
    hash.update(error.kind.as_bytes());
    hash.update(b"\n");
    hash.update(shape(&error.message).as_bytes());
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The words of a message, where those with a digit in them and what stands in quotes all look alike.
fn shape(message: &str) -> String {
    let head: String = message.chars().take(HEAD).collect();
    let parts: Vec<&str> = head.split(['`', '"']).collect();
    let mut words = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        // Every second part is quoted, unless its quote never ends.
        if place % 2 == 1 && place + 1 < parts.len() {
            words.push("#");
            continue;
        }
        let of_part = part.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.extend(of_part.map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word }));
    }
    // 1.5 s and 20 s.
    words.dedup_by(|next, word| next == word && *word == "#");
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(message: &str) -> String {
        of_error(&ErrorRecord::new("failed", message))
    }

    #[test]
    fn messages_that_differ_in_numbers_ids_or_quotes_are_one_group() {
        let one = print("customer 42: cannot reach `http://a.example/7` after 1.5 s (id 01JABC)");
        assert_eq!(one, print("customer 7: cannot reach `ftp://b` after 20 s (id 9f3e)"));
        assert_eq!(one.len(), 16);
        assert_ne!(one, print("customer 42: cannot read `http://a.example/7` after 1.5 s (id 01JABC)"));
    }

    #[test]
    fn a_quote_that_never_ends_hides_nothing() {
        assert_ne!(print("the `disk is full"), print("the `disk is broken"));
        assert_eq!(shape("don't \"ask 5\" it's 3"), "don t # it s #");
    }

    #[test]
    fn another_kind_is_another_group() {
        assert_ne!(of_error(&ErrorRecord::new("trapped", "x")), of_error(&ErrorRecord::new("failed", "x")));
        assert_eq!(fingerprint(&History::default()), "");
    }

    #[test]
    fn a_huge_message_is_hashed_by_its_head() {
        assert_eq!(print(&"x ".repeat(10_000)), print(&"x ".repeat(20_000)));
    }
}
