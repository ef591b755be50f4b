//! What the fuzz targets of this repository have to know of the inside. No part of the interface: it may change or go.

use afresh_protocol::abi;

use crate::imports::{AFRESH, WASI};

/// Everything a module may import: namespace, name, and the signature as `params:results`, one letter a value (`i` i32,
/// `I` i64, `F` f64).
pub fn imports() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let of = |namespace, table: &'static [(&str, &str)]| table.iter().map(move |(name, ty)| (namespace, *name, *ty));
    of(abi::NAMESPACE, AFRESH).chain(of(abi::WASI_NAMESPACE, WASI))
}
