//! What WASI hands to a guest as strings, its environment and its arguments: one after the other, each with a NUL at its
//! end. It is put together like this from the start, so that an attempt needs one piece of memory for all of it.

use std::fmt;
use std::io::Write as _;

/// The environment of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Strings);

impl Environment {
    /// Adds a variable. Neither part may hold a NUL: the guest would see what follows it as a variable of its own.
    pub fn set(&mut self, name: &str, value: impl fmt::Display) {
        self.0.push(format_args!("{name}={value}"));
    }

    pub(crate) fn into_strings(self) -> Strings {
        self.0
    }
}

impl<N: AsRef<str>, V: fmt::Display> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let mut environment = Self::default();
        variables.into_iter().for_each(|(name, value)| environment.set(name.as_ref(), value));
        environment
    }
}

impl<N: AsRef<str>, V: fmt::Display, const COUNT: usize> From<[(N, V); COUNT]> for Environment {
    fn from(variables: [(N, V); COUNT]) -> Self {
        variables.into_iter().collect()
    }
}

/// Strings as a guest gets them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    count: u32,
}

impl Strings {
    pub(crate) fn push(&mut self, string: impl fmt::Display) {
        if self.bytes.is_empty() {
            // A few names of a worker's, without growing.
            self.bytes.reserve(256);
        }
        // Writing to a vector cannot fail.
        let _ = write!(self.bytes, "{string}\0");
        self.count += 1;
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// All of them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One after the other, with its NUL.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|&byte| byte == 0)
    }
}

impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_in_order_each_with_its_nul() {
        let mut environment = Environment::from([("A", "1"), ("B", "")]);
        environment.set("C", 17);
        let strings = environment.into_strings();
        assert_eq!((strings.count(), strings.bytes()), (3, &b"A=1\0B=\0C=17\0"[..]));
        assert_eq!(strings.iter().collect::<Vec<_>>(), [&b"A=1\0"[..], b"B=\0", b"C=17\0"]);
    }
}
