//! Payloads and guest text for people: bounded, and without what acts on a terminal.

use std::fmt::Write as _;

/// Characters that are shown of a payload.
const SHOWN: usize = 400;

/// A payload as text where it is text, else as hexadecimal.
pub(crate) fn payload(bytes: &[u8]) -> String {
    let mut shown = match std::str::from_utf8(bytes) {
        Ok("") => return "(no bytes)".to_owned(),
        Ok(payload) => text(&payload.chars().take(SHOWN).collect::<String>()),
        Err(_) => bytes.iter().take(SHOWN / 3).fold(String::from("hex "), |mut shown, byte| {
            let _ = write!(shown, "{byte:02x} ");
            shown
        }),
    };
    let is_cut = bytes.len() > if shown.starts_with("hex ") { SHOWN / 3 } else { SHOWN };
    shown.truncate(shown.trim_end().len());
    shown.push_str(if is_cut { "…" } else { "" });
    shown
}

/// Guest text: letters, digits and what a keyboard has stay, all else is escaped.
pub(crate) fn text(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, c| {
        match c {
            c if c.is_alphanumeric() || c.is_ascii_graphic() || matches!(c, ' ' | '…') => shown.push(c),
            c => shown.extend(c.escape_default()),
        }
        shown
    })
}

/// Text as one word of a shell's command line.
pub(crate) fn word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:@/+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", text(word).replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_text_or_hexadecimal_and_never_long() {
        assert_eq!(payload(r#"{"a": "é"}"#.as_bytes()), r#"{"a": "é"}"#);
        assert_eq!(payload(b"red \x1b[31m"), "red \\u{1b}[31m");
        assert_eq!(payload(b"\xff\x00"), "hex ff 00");
        assert_eq!(payload(b""), "(no bytes)");
        assert!(payload(&[b'x'; 5000]).chars().count() <= SHOWN + 1);
        assert!(payload(&[0xff; 5000]).ends_with("ff…"));
    }
}
