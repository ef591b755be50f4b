//! The payloads worth changing: those that made the guest do something that no other did.
//!
//! What a payload made it do is seen from outside. How it ended and what it said make a *class*; among payloads of one
//! class and one length the one that used most fuel got furthest. Without classes, the many payloads that are no JSON at
//! all would crowd out the few that are; without lengths, long payloads the short ones.

use std::collections::{BTreeMap, HashMap};

use mutatis::{Candidates, Context, Generate, Mutate};

use crate::bytes::below;

/// The most classes, and bytes of all payloads together.
const CLASSES: usize = 256;
const BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
pub(crate) struct Corpus {
    classes: Vec<Class>,
    by_name: HashMap<String, usize>,
    bytes: usize,
    /// Whether one payload was seen to use different amounts of fuel: then only large differences mean anything.
    is_noisy: bool,
}

/// By their lengths, the inputs that got furthest.
type Class = BTreeMap<usize, Furthest>;

#[derive(Debug)]
struct Furthest {
    fuel: u64,
    input: Vec<u8>,
}

impl Corpus {
    /// Keeps an input if it is new. Whether it was.
    pub(crate) fn offer(&mut self, input: &[u8], class: String, fuel: u64) -> bool {
        let next = self.classes.len();
        let class = match self.by_name.get(&class) {
            Some(&known) => known,
            None if next == CLASSES => return false,
            None => {
                self.by_name.insert(class, next);
                self.classes.push(Class::default());
                next
            }
        };
        let slot = magnitude(input.len());
        let known = self.classes[class].get(&slot);
        let threshold = known.map(|known| known.fuel + if self.is_noisy { known.fuel / 8 } else { 0 });
        let freed = known.map_or(0, |known| known.input.len());
        if threshold.is_some_and(|threshold| fuel <= threshold) || self.bytes - freed + input.len() > BYTES {
            return false;
        }
        self.bytes = self.bytes - freed + input.len();
        self.classes[class].insert(slot, Furthest { fuel, input: input.to_vec() });
        true
    }

    /// Hears that one input used different amounts of fuel, as with a guest that asks for randomness.
    pub(crate) fn fuel_is_noisy(&mut self) {
        self.is_noisy = true;
    }

    /// How many inputs are kept.
    pub(crate) fn len(&self) -> usize {
        self.classes.iter().map(Class::len).sum()
    }

    /// The inputs that are kept.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &[u8]> {
        self.classes.iter().flat_map(Class::values).map(|furthest| furthest.input.as_slice())
    }
}

/// A length by its highest five bits: the short ones are all told apart.
fn magnitude(len: usize) -> usize {
    let shift = len.checked_ilog2().unwrap_or(0).saturating_sub(4);
    len >> shift << shift
}

/// A pick out of a corpus: a class, then an input of it, more often a short one. mutatis has the random numbers.
pub(crate) struct Pick<'a>(pub(crate) &'a Corpus);

impl Mutate<Vec<u8>> for Pick<'_> {
    fn mutate(&mut self, c: &mut Candidates<'_>, input: &mut Vec<u8>) -> mutatis::Result<()> {
        c.mutation(|ctx| {
            *input = self.generate(ctx)?;
            Ok(())
        })
    }
}

impl Generate<Vec<u8>> for Pick<'_> {
    fn generate(&mut self, ctx: &mut Context) -> mutatis::Result<Vec<u8>> {
        let class = self.0.classes.get(below(ctx, self.0.classes.len()));
        let input = class.and_then(|class| {
            let place = below(ctx, class.len()).min(below(ctx, class.len()));
            class.values().nth(place)
        });
        Ok(input.map(|furthest| furthest.input.clone()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_kept_if_its_class_is_new_or_it_got_further_than_others_of_its_length() {
        let mut corpus = Corpus::default();
        assert!(corpus.offer(b"a", "failed".into(), 1_000));
        assert!(!corpus.offer(b"b", "failed".into(), 1_000));
        assert!(corpus.offer(b"bb", "failed".into(), 900));
        assert!(corpus.offer(b"b", "failed".into(), 1_001));
        assert!(corpus.offer(b"c", "succeeded".into(), 1_000));
        assert_eq!((corpus.len(), corpus.bytes), (3, 4));
        corpus.fuel_is_noisy();
        assert!(!corpus.offer(b"d", "failed".into(), 1_002));
        assert!(corpus.offer(b"d", "failed".into(), 2_000));
    }

    #[test]
    fn it_stays_bounded_whatever_comes() {
        let mut corpus = Corpus::default();
        for n in 0..2_000 {
            corpus.offer(&vec![0; n * 100], format!("class {}", n % 300), n as u64);
        }
        assert!(corpus.classes.len() == CLASSES && corpus.bytes <= BYTES);
        let whole: usize = corpus.classes.iter().flat_map(Class::values).map(|furthest| furthest.input.len()).sum();
        assert_eq!(corpus.bytes, whole);
    }
}
