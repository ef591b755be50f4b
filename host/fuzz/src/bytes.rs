//! How a payload is changed as bytes, whatever they mean.

use std::ops::Range;

use mutatis::{Candidates, Context, Mutate, Result};

use crate::dictionary::Dictionary;

/// Numbers at which code tends to break, besides those of the module itself.
pub(crate) const EDGES: [i64; 14] =
    [0, 1, -1, 2, 127, 128, 255, 256, 65_535, 65_536, i32::MAX as i64, u32::MAX as i64, i64::MAX, i64::MIN];

/// The most bytes that one change adds or takes.
const MOST: usize = 64;

/// Changes bytes: with words and numbers of a dictionary, and pieces of another payload.
pub(crate) struct Bytes<'a> {
    pub(crate) dictionary: &'a Dictionary,
    pub(crate) other: &'a [u8],
}

impl Mutate<Vec<u8>> for Bytes<'_> {
    // One candidate a kind of change, so that each is as likely as the others however long the payload is.
    fn mutate(&mut self, c: &mut Candidates<'_>, bytes: &mut Vec<u8>) -> Result<()> {
        if !bytes.is_empty() {
            c.mutation(|ctx| {
                let place = below(ctx, bytes.len());
                bytes[place] ^= 1 << below(ctx, 8);
                Ok(())
            })?;
            c.mutation(|ctx| {
                let place = below(ctx, bytes.len());
                bytes[place] = ctx.rng().gen_u8();
                Ok(())
            })?;
            c.mutation(|ctx| {
                let piece = piece(ctx, bytes.len());
                bytes.drain(piece);
                Ok(())
            })?;
            c.mutation(|ctx| {
                let copy = bytes[piece(ctx, bytes.len())].to_vec();
                insert(ctx, bytes, &copy);
                Ok(())
            })?;
            c.mutation(|ctx| {
                let number = self.number(ctx);
                write_number(ctx, bytes, number);
                Ok(())
            })?;
        }
        c.mutation(|ctx| {
            let mut new = vec![0; 1 + below(ctx, 8)];
            ctx.rng().gen_bytes(&mut new);
            insert(ctx, bytes, &new);
            Ok(())
        })?;
        c.mutation(|ctx| {
            if let Some(word) = self.dictionary.word(ctx.rng().gen_u64()) {
                insert(ctx, bytes, word.as_bytes());
            }
            Ok(())
        })?;
        c.mutation(|ctx| {
            let digits = self.number(ctx).to_string();
            let range = digits_of(ctx, bytes);
            bytes.splice(range, digits.bytes());
            Ok(())
        })?;
        if !self.other.is_empty() {
            c.mutation(|ctx| {
                let piece = piece(ctx, self.other.len());
                insert(ctx, bytes, &self.other[piece]);
                Ok(())
            })?;
            c.mutation(|ctx| {
                bytes.truncate(below(ctx, bytes.len() + 1));
                bytes.extend_from_slice(&self.other[below(ctx, self.other.len())..]);
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Bytes<'_> {
    fn number(&self, ctx: &mut Context) -> i64 {
        number(ctx, self.dictionary)
    }
}

/// A number that matters, and sometimes the one beside it.
pub(crate) fn number(ctx: &mut Context, dictionary: &Dictionary) -> i64 {
    let of_module = ctx.rng().gen_bool().then(|| dictionary.number(ctx.rng().gen_u64())).flatten();
    let number = of_module.unwrap_or_else(|| EDGES[below(ctx, EDGES.len())]);
    number.wrapping_add([0, 0, 1, -1][below(ctx, 4)])
}

/// A random place of so many; 0 of none.
pub(crate) fn below(ctx: &mut Context, len: usize) -> usize {
    ctx.rng().gen_index(len).unwrap_or(0)
}

/// A random piece of so many bytes, mostly a short one.
fn piece(ctx: &mut Context, len: usize) -> Range<usize> {
    let start = below(ctx, len);
    let most = if below(ctx, 8) == 0 { len - start } else { (len - start).min(MOST) };
    start..start + 1 + below(ctx, most)
}

fn insert(ctx: &mut Context, bytes: &mut Vec<u8>, new: &[u8]) {
    let place = below(ctx, bytes.len() + 1);
    // As often it takes the place of what stood there, so that what has a fixed length keeps it.
    let end = if ctx.rng().gen_bool() { place } else { (place + new.len()).min(bytes.len()) };
    bytes.splice(place..end, new.iter().copied());
}

/// Writes a number over 1, 2, 4 or 8 bytes, in either order.
fn write_number(ctx: &mut Context, bytes: &mut [u8], number: i64) {
    let width = (1 << below(ctx, 4)).min(bytes.len());
    let place = below(ctx, bytes.len() - width + 1);
    let field = &mut bytes[place..place + width];
    field.copy_from_slice(&number.to_le_bytes()[..width]);
    if ctx.rng().gen_bool() {
        field.reverse();
    }
}

/// Where digits stand in a text, or a random empty place.
fn digits_of(ctx: &mut Context, bytes: &[u8]) -> Range<usize> {
    let from = below(ctx, bytes.len() + 1);
    let is_digit = |place: &usize| bytes[*place].is_ascii_digit();
    let Some(start) = (from..bytes.len()).find(is_digit) else { return from..from };
    let end = (start..bytes.len()).find(|place| !is_digit(place)).unwrap_or(bytes.len());
    start..end
}

#[cfg(test)]
mod tests {
    use mutatis::Session;

    use super::*;

    #[test]
    fn bytes_of_any_length_can_be_changed_for_ever() {
        let dictionary = Dictionary::default();
        let mut session = Session::new().seed(7);
        let mut bytes = Vec::new();
        let mut lengths = std::collections::HashSet::new();
        for _ in 0..10_000 {
            session.mutate_with(&mut Bytes { dictionary: &dictionary, other: b"another" }, &mut bytes).unwrap();
            bytes.truncate(200);
            lengths.insert(bytes.len());
        }
        assert!(lengths.len() > 50, "{lengths:?}");
    }
}
