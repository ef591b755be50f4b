//! Unique jobs: while one holds a unique key, another with the same key in the same queue is not accepted, and its producer
//! is told the id of the one that is there. And keys in general: what names a customer, a tenant, an order.

use std::time::Duration;

pub use afresh_protocol::enqueue::check_key;

/// The longest a unique key may be held for a time: a year.
pub const MAX_UNIQUE_FOR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A job's wish to be the only one with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// The key, within the job's queue.
    pub key: String,
    /// For how long it is held.
    pub scope: UniqueScope,
}

/// For how long a job holds its unique key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniqueScope {
    /// Until it is leased for the first time: at most one waits.
    Queued,
    /// Until it has ended, in whichever way.
    Unfinished,
    /// For this long from when it was accepted, whatever becomes of it; unless a person removes it.
    For(Duration),
}

impl Unique {
    /// Checks the key and the time.
    ///
    /// # Errors
    /// A fragment that says what is wrong and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        check_key(&self.key).map_err(|reason| format!("its unique key: {reason}"))?;
        match self.scope {
            UniqueScope::For(span) if span < Duration::from_millis(1) || span > MAX_UNIQUE_FOR => {
                Err("its unique key is to be held for a time that is not from 1 ms to a year".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_any_short_text_without_white_space() {
        for fine in ["customer:42", "ann@example.org", "café", "x", &"x".repeat(128)] {
            assert_eq!(check_key(fine), Ok(()));
        }
        for wrong in ["", "a b", "a\nb", "\u{7f}", &"x".repeat(129)] {
            assert!(check_key(wrong).unwrap_err().contains("1 to 128 bytes without white space"));
        }
    }
}
