//! Text to the host in pieces, without allocating: it must work when the memory is full, and a text of 128 MiB must not
//! be copied to be told.

use std::fmt::{self, Display, Write};

/// Small fragments are collected up to this many bytes before a call of the host. It lives on the guest's stack.
const BUFFER_BYTES: usize = 4096;

/// Renders `text` into `sink`. Small fragments arrive together, a large one arrives alone and uncopied.
pub(crate) fn stream(text: &dyn Display, sink: impl FnMut(&[u8])) {
    let mut stream = Stream { sink, buffer: [0; BUFFER_BYTES], used: 0 };
    // The only error there is comes from the text's own `Display`.
    if write!(stream, "{text}").is_err() {
        let _ = stream.write_str(" [and here its Display failed]");
    }
    stream.flush();
}

struct Stream<F: FnMut(&[u8])> {
    sink: F,
    buffer: [u8; BUFFER_BYTES],
    used: usize,
}

impl<F: FnMut(&[u8])> Stream<F> {
    fn flush(&mut self) {
        if self.used > 0 {
            (self.sink)(&self.buffer[..self.used]);
            self.used = 0;
        }
    }
}

impl<F: FnMut(&[u8])> Write for Stream<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > BUFFER_BYTES - self.used {
            self.flush();
        }
        if text.len() >= BUFFER_BYTES {
            (self.sink)(text.as_bytes());
        } else {
            self.buffer[self.used..][..text.len()].copy_from_slice(text.as_bytes());
            self.used += text.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &dyn Display) -> Vec<(usize, *const u8)> {
        let mut pieces = Vec::new();
        stream(text, |bytes| pieces.push((bytes.len(), bytes.as_ptr())));
        pieces
    }

    #[test]
    fn small_fragments_arrive_together() {
        assert_eq!(pieces(&format_args!("{}, {} and {}", 1, 2, 3)).len(), 1);
        assert_eq!(pieces(&"").len(), 0);
    }

    #[test]
    fn a_large_fragment_arrives_alone_and_uncopied() {
        let large = "x".repeat(BUFFER_BYTES);
        let pieces = pieces(&format_args!("before {large} after"));
        assert_eq!(pieces.iter().map(|(len, _)| *len).collect::<Vec<_>>(), [7, BUFFER_BYTES, 6]);
        assert_eq!(pieces[1].1, large.as_ptr());
    }

    #[test]
    fn fragments_keep_their_order_across_a_full_buffer() {
        let text: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
        struct Fragments<'a>(&'a [String]);
        impl Display for Fragments<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|fragment| f.write_str(fragment))
            }
        }
        let mut whole = Vec::new();
        stream(&Fragments(&text), |bytes| whole.extend_from_slice(bytes));
        assert_eq!(whole, text.concat().as_bytes());
    }

    #[test]
    fn a_display_that_fails_leaves_what_it_wrote() {
        struct Broken;
        impl Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let mut whole = Vec::new();
        stream(&Broken, |bytes| whole.extend_from_slice(bytes));
        assert_eq!(whole, b"half [and here its Display failed]");
    }
}
