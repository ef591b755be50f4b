//! Guests with a bug planted in them, each in a file of its own: the fuzzer finds it, and finds the smallest payload.

mod engine;
mod library;

use std::path::Path;

/// The guest of that name, compiled to binary.
fn guest(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planted/guests").join(format!("{name}.wat"));
    wat::parse_file(file).unwrap()
}
