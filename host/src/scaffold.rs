//! A new task crate from the templates: what `afresh new` writes.

use std::path::{Path, PathBuf};

use afresh_toolchain::STACK_BYTES;
use anyhow::{Context as _, ensure};

/// The files of a new crate, and their templates.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../templates/task/Cargo.toml.in")),
    (".cargo/config.toml", include_str!("../templates/task/config.toml.in")),
    ("src/main.rs", include_str!("../templates/task/main.rs.in")),
    ("tests/fuzz.rs", include_str!("../templates/task/fuzz.rs.in")),
    ("README.md", include_str!("../templates/task/README.md.in")),
    (".gitignore", include_str!("../templates/task/gitignore.in")),
];

/// Where the library that fuzzes guests is, from the SDK's folder.
const FUZZ: &str = "../host/fuzz";

/// The SDK of the checkout that this program was built from.
const CHECKOUT_SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk");

/// Names that cargo refuses for a program, or that mean something else in the program itself.
const TAKEN: &[&str] = &[
    "afresh",
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "incremental",
    "main",
    "proc_macro",
    "serde",
    "std",
    "test",
];

/// Rust's keywords: the task is a function of the crate's name.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The most characters of a crate's name, so that files and tasks of that name are fine everywhere.
const MAX_NAME: usize = 64;

/// A name that a crate, its program and its task can all have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrateName(String);

impl std::str::FromStr for CrateName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts_well || !name.chars().all(fine) || name.len() > MAX_NAME {
            return Err(format!(
                "use 1 to {MAX_NAME} of the letters a to z, digits, `-` and `_`, starting with a letter, such as `send-mail`"
            ));
        }
        let name = Self(name.to_owned());
        let task = name.task();
        if TAKEN.contains(&task.as_str()) || KEYWORDS.contains(&task.as_str()) {
            return Err(
                "that word means something to Rust or cargo already; take another, such as `my-task`".to_owned()
            );
        }
        Ok(name)
    }
}

impl CrateName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The task's name: that of a Rust function.
    pub fn task(&self) -> String {
        self.0.replace('-', "_")
    }
}

/// The SDK's folder: the one named, or that of the checkout this program was built from.
///
/// # Errors
/// When it is not there, or not the SDK.
pub fn sdk_folder(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = named.unwrap_or(Path::new(CHECKOUT_SDK));
    let is_sdk = |folder: &Path| {
        let manifest: toml::Table = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()?;
        Some(manifest.get("package")?.get("name")?.as_str()? == "afresh")
    };
    ensure!(
        is_sdk(folder) == Some(true),
        "the SDK is not in {}{}; name its folder (`guest-sdk` of a checkout of Afresh) with --sdk",
        folder.display(),
        if named.is_none() { ", where it was when this program was built" } else { "" }
    );
    folder.canonicalize().with_context(|| format!("failed to find {}", folder.display()))
}

/// Writes the crate `name` into `dir`, which may be there if it is empty; the crate depends on the SDK in `sdk`.
///
/// # Errors
/// When the folder holds anything already, or cannot be written.
pub fn create(name: &CrateName, dir: &Path, sdk: &Path) -> anyhow::Result<()> {
    let is_free = match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    ensure!(
        is_free,
        "{} is there already and not an empty folder; choose another name, or another folder with --dir",
        dir.display()
    );
    let in_toml = |path: &Path| {
        let text = path.to_str();
        let text =
            text.with_context(|| format!("the path {} is not UTF-8, which Cargo.toml must be", path.display()))?;
        anyhow::Ok(toml::Value::from(text).to_string())
    };
    let fuzz = sdk.join(FUZZ);
    let (sdk, fuzz) = (in_toml(sdk)?, in_toml(&fuzz.canonicalize().unwrap_or(fuzz))?);
    for (file, template) in FILES {
        let text = template
            .replace("{{name}}", name.as_str())
            .replace("{{task}}", &name.task())
            .replace("{{sdk}}", &sdk)
            .replace("{{fuzz}}", &fuzz)
            .replace("{{stack}}", &STACK_BYTES.to_string());
        let path = dir.join(file);
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(path.parent().unwrap_or(dir))?;
            std::fs::write(&path, text)
        };
        write().with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_do_for_a_crate_a_file_and_a_function() {
        for good in ["hello", "send-mail", "a", "resize_2"] {
            assert!(good.parse::<CrateName>().is_ok(), "{good}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        for bad in ["", "-a", "2nd", "Hello", "a b", "../a", "a/b", "über", "loop", "main", "test", "proc-macro", &long]
        {
            assert!(bad.parse::<CrateName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_that_needs_quoting_in_toml_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let name: CrateName = "hello".parse().unwrap();
        create(&name, dir.path(), Path::new("/a \"b\"/sdk")).unwrap();
        let manifest: toml::Table = std::fs::read_to_string(dir.path().join("Cargo.toml")).unwrap().parse().unwrap();
        assert_eq!(manifest["dependencies"]["afresh"]["path"].as_str(), Some("/a \"b\"/sdk"));
        let fuzz = manifest["dev-dependencies"]["afresh-fuzz"]["path"].as_str();
        assert_eq!(fuzz, Some("/a \"b\"/sdk/../host/fuzz"));
    }
}
