//! How results are printed: a table or sentences for people, JSON for programs, and guest text always escaped.

use std::io::{IsTerminal as _, Write as _};

use afresh_protocol::text::acts_on_a_terminal;
pub use afresh_protocol::text::escaped;
use anyhow::Context as _;
use bytesize::ByteSize;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Where results go, and in which shape.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Results as JSON, or for people.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads this.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints a value: as JSON, or in the words `human` finds for it.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn value<T: Serialize>(self, value: &T, human: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let text = if self.json { json(value)? } else { human(value) };
        print_line(&text)
    }

    /// Prints a listing: as a JSON array, or as a table with these headings.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn listing<T: Serialize>(
        self,
        items: &[T],
        headings: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        if self.json {
            return print_line(&json(items)?);
        }
        print_line(&table(headings, items.iter().map(row)).to_string())
    }
}

/// JSON that a terminal may see too: a character that could act on one is written as an escape, which means the same to
/// a program.
///
/// # Errors
/// When the value has no JSON.
pub fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<String> {
    let mut text = String::new();
    // Such characters stand only inside strings.
    for c in serde_json::to_string_pretty(value)?.chars() {
        match c {
            '\n' => text.push(c),
            c if acts_on_a_terminal(c) => {
                text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
            }
            c => text.push(c),
        }
    }
    Ok(text)
}

/// A plain table for a terminal, as wide as it needs.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(headings);
    for row in rows {
        table.add_row(row);
    }
    table
}

/// One line on standard output. A closed pipe (`| head`) is no failure.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_line(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("failed to print the result"),
    }
}

/// A task's reply: to a program as it is, to a person as text that does their terminal no harm. A closed pipe is no
/// failure.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_reply(reply: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    match std::str::from_utf8(reply) {
        _ if !stdout.is_terminal() => match stdout.write_all(reply).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("failed to print the reply"),
        },
        Ok("") => Ok(()),
        Ok(text) => print_line(escaped(text).trim_end_matches('\n')),
        Err(_) => {
            eprintln!("the reply is {} of binary data; write it to a file with `> FILE`", ByteSize(reply.len() as u64));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_characters_that_act_on_a_terminal() {
        let text = "csi \u{9b}31m del \u{7f} bidi \u{202e} tag \u{e0041} é\n";
        let json = json(text).unwrap();
        assert!(!json.chars().any(acts_on_a_terminal), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
