//! A plain command that does nothing: standard input to standard output.

use std::io;

fn main() -> io::Result<()> {
    io::copy(&mut io::stdin().lock(), &mut io::stdout().lock()).map(drop)
}
