//! What text from a guest must not do to the person who sees it.

/// Whether a character would act on a terminal instead of being seen: control characters of both sets, and those that
/// reorder, hide or join the text around them. Line ends and tabs are among them; whoever wants those lets them through.
pub fn acts_on_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Text as a terminal may see it: what would act on it is written as an escape, line ends and tabs are kept.
pub fn escaped(text: &str) -> String {
    escape_but(text, |c| matches!(c, '\n' | '\t'))
}

/// The same for text that must stay on one line: line ends and tabs are escapes as well.
pub fn escaped_line(text: &str) -> String {
    escape_but(text, |_| false)
}

fn escape_but(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if acts_on_a_terminal(c) && !keep(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_does_not_act_and_what_acts_is_not_seen() {
        assert!(!"Grüße, 世界 🎉 — “quoted” \u{fffd}".chars().any(acts_on_a_terminal));
        assert!(
            "\u{1b}\u{7}\r\n\t\0\u{7f}\u{9b}\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}".chars().all(acts_on_a_terminal)
        );
    }

    #[test]
    fn a_terminal_never_sees_a_control_character_of_a_guest() {
        let text = "red \u{1b}[31m\r\nbell\u{7}\t\u{202e}é";
        assert_eq!(escaped(text), "red \\u{1b}[31m\\r\nbell\\u{7}\t\\u{202e}é");
        assert_eq!(escaped_line(text), "red \\u{1b}[31m\\r\\nbell\\u{7}\\t\\u{202e}é");
    }
}
