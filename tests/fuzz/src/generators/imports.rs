//! What a module may import, and which of it a module does import.

use std::sync::LazyLock;

use afresh_sandbox::fuzzing;
use arbitrary::{Result, Unstructured};

/// A host function.
#[derive(Clone, Copy, Debug)]
pub struct Import {
    /// Its namespace.
    pub namespace: &'static str,
    /// Its name.
    pub name: &'static str,
    /// One letter a parameter: `i` i32, `I` i64, `F` f64.
    pub params: &'static str,
    /// The letter of its result, where it has one.
    pub result: Option<char>,
}

impl Import {
    /// The line of a module in text that imports it as `$name`.
    pub fn as_wat(&self) -> String {
        let Self { namespace, name, .. } = self;
        let params: Vec<_> = self.params.chars().map(wat_type).collect();
        let result = self.result.map(|letter| format!("(result {})", wat_type(letter))).unwrap_or_default();
        format!("(import \"{namespace}\" \"{name}\" (func ${name} (param {}) {result}))\n", params.join(" "))
    }
}

/// Every host function there is, ours first.
pub static ALL: LazyLock<Vec<Import>> = LazyLock::new(|| {
    let split = |(namespace, name, signature): (_, _, &'static str)| {
        let (params, result) = signature.split_once(':').expect("a signature has a colon");
        Import { namespace, name, params, result: result.chars().next() }
    };
    fuzzing::imports().map(split).collect()
});

/// Those a module imports: all, those of a plain command, a few of ours, or any.
///
/// # Errors
/// When the bytes are used up.
pub fn some(u: &mut Unstructured<'_>) -> Result<Vec<Import>> {
    let wasi = |import: &Import| import.namespace.starts_with("wasi");
    let (style, mask) = (u.int_in_range(0..=7)?, u.arbitrary::<u64>()?);
    let wanted = |(index, import): (usize, &Import)| match style {
        0..=2 => true,
        3 | 4 => wasi(import),
        5 | 6 => !wasi(import) || import.name == "fd_write",
        _ => mask >> (index % 64) & 1 == 1,
    };
    Ok(ALL.iter().enumerate().filter(|&pair| wanted(pair)).map(|(_, import)| *import).collect())
}

fn wat_type(letter: char) -> &'static str {
    match letter {
        'i' => "i32",
        'I' => "i64",
        'F' => "f64",
        other => panic!("no host function takes or gives a {other}"),
    }
}
