//! Asks a Redis for numbers, over one connection that stays open: cheap enough to be asked hundreds of times a second.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use afresh_harness::SOON;
use anyhow::Context as _;

pub(crate) struct Look(BufReader<TcpStream>);

impl Look {
    /// # Errors
    /// If there is nobody at this address.
    pub(crate) fn at(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SOON))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The sum of what these commands answer, sent together and carried out in this order.
    ///
    /// # Errors
    /// If Redis does not answer, or one answer is no number.
    pub(crate) fn sum(&mut self, commands: &[&str]) -> anyhow::Result<u64> {
        let together: String = commands.iter().map(|command| format!("{command}\r\n")).collect();
        self.0.get_mut().write_all(together.as_bytes())?;
        commands.iter().map(|command| self.number(command)).sum()
    }

    fn number(&mut self, command: &str) -> anyhow::Result<u64> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let number = line.trim_end().strip_prefix(':').and_then(|number| number.parse().ok());
        number.with_context(|| format!("Redis answers {command} with {line:?}, which is no number"))
    }
}
