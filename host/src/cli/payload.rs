//! `PAYLOAD` on the command line: text, `@FILE`, or `-` for standard input.

use std::convert::Infallible;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use bytesize::ByteSize;

/// Where a payload comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The argument itself. A text that starts with `@`, or is a single `-`, goes by a file or standard input.
    Text(String),
    /// The bytes of a file.
    File(PathBuf),
    /// Standard input up to its end.
    Stdin,
}

impl FromStr for Payload {
    type Err = Infallible;

    fn from_str(argument: &str) -> Result<Self, Infallible> {
        Ok(Self::of(argument))
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("the payload"),
            Self::File(path) => write!(f, "the payload {}", path.display()),
            Self::Stdin => f.write_str("the payload on standard input"),
        }
    }
}

impl Payload {
    /// What an argument means.
    pub fn of(argument: &str) -> Self {
        match (argument, argument.strip_prefix('@')) {
            ("-", _) => Self::Stdin,
            (_, Some(path)) => Self::File(path.into()),
            (text, None) => Self::Text(text.to_owned()),
        }
    }

    /// The bytes, at most `max` of them; of a longer one no more is read than it takes to know.
    ///
    /// # Errors
    /// When the file or standard input cannot be read, or there is more.
    pub fn read(self, max: ByteSize) -> anyhow::Result<Vec<u8>> {
        let shown = self.to_string();
        let bytes = match self {
            Self::Text(text) => text.into_bytes(),
            Self::File(path) => std::fs::File::open(path)
                .and_then(|file| read_at_most(file, max))
                .with_context(|| format!("failed to read {shown}"))?,
            Self::Stdin => {
                read_at_most(std::io::stdin().lock(), max).with_context(|| format!("failed to read {shown}"))?
            }
        };
        anyhow::ensure!(
            bytes.len() as u64 <= max.as_u64(),
            "{shown} is longer than {max}; keep large data elsewhere and send where it is, or raise `max_payload` in \
             afresh.toml"
        );
        Ok(bytes)
    }
}

/// The bytes up to the end, or one more than `max`.
fn read_at_most(reader: impl Read, max: ByteSize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(max.as_u64().saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_text_a_file_or_standard_input() {
        assert_eq!(Payload::of("{\"a\": 1}"), Payload::Text("{\"a\": 1}".into()));
        assert_eq!(Payload::of("@in/a.json"), Payload::File("in/a.json".into()));
        assert_eq!(Payload::of("-"), Payload::Stdin);
        assert_eq!(Payload::of(""), Payload::Text(String::new()));
    }

    #[test]
    fn a_payload_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 10]).unwrap();
        for payload in [Payload::File(file.path().into()), Payload::Text("0123456789".into())] {
            assert_eq!(payload.clone().read(ByteSize(10)).unwrap().len(), 10);
            let error = payload.read(ByteSize(9)).unwrap_err().to_string();
            assert!(error.contains("longer than 9 B") && error.contains("max_payload"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = format!("{:#}", Payload::of("@no/such.json").read(ByteSize(9)).unwrap_err());
        assert!(error.starts_with("failed to read the payload no/such.json: "), "{error}");
    }
}
