//! A task that allocates what the payload says, touches every page of it, and fails with an error that holds it all, or
//! whose text is all of it. In a worker that runs tasks in its own process, each such failure leaves something behind.

use std::error::Error;
use std::fmt;

use afresh::{Context, TaskError, task};
use serde::Deserialize;

#[derive(Deserialize)]
struct Bomb {
    /// How many bytes to allocate.
    bytes: usize,
    /// Whether the error's text is the data; otherwise the error only holds it.
    #[serde(default)]
    text: bool,
}

/// More than any task may have, and than an allocator takes for a size: there it would panic, and not run out of memory.
const MAX_BYTES: usize = 1 << 30;

#[task(
    name = "memory-bomb",
    max_attempts = 3,
    timeout = "10s",
    memory = "256MiB",
    min_backoff = "10ms",
    max_backoff = "100ms"
)]
fn memory_bomb(bomb: Bomb, ctx: &Context) -> Result<(), TaskError> {
    if bomb.bytes > MAX_BYTES {
        return Err(TaskError::reject(format!("{} bytes are more than any task may have", bomb.bytes)));
    }
    ctx.info("allocating");
    // Not `vec![0; n]`, which may leave the pages untouched: every byte is written.
    let data = vec![b'x'; bomb.bytes];
    ctx.info("allocated");
    if bomb.text { Err(TextIsData(String::from_utf8(data)?))? } else { Err(HoldsData(data))? }
}

/// An error that holds the data and says little.
#[derive(Debug)]
struct HoldsData(Vec<u8>);

impl fmt::Display for HoldsData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this error holds {} bytes", self.0.len())
    }
}

impl Error for HoldsData {}

/// An error whose text is the data.
#[derive(Debug)]
struct TextIsData(String);

impl fmt::Display for TextIsData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for TextIsData {}

fn main() {
    afresh::run!(memory_bomb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_holds_the_data_or_is_the_data() {
        let ctx = Context::test();
        let holds = memory_bomb(Bomb { bytes: 100_000, text: false }, &ctx).unwrap_err();
        assert_eq!(holds.to_string(), "this error holds 100000 bytes");
        let is = memory_bomb(Bomb { bytes: 100_000, text: true }, &ctx).unwrap_err();
        assert_eq!(is.to_string(), "x".repeat(100_000));
        assert_eq!(ctx.logs(), ["info: allocating", "info: allocated"].repeat(2));
    }

    #[test]
    fn a_size_that_nobody_has_is_rejected() {
        let bomb = Bomb { bytes: MAX_BYTES + 1, text: false };
        assert!(memory_bomb(bomb, &Context::test()).unwrap_err().is_rejected());
    }
}
