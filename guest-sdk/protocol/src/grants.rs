//! What a task may be granted beyond its payload and its log, and how such things are named: the same in what a task asks
//! for, in the operator's configuration and inside the guest.

use std::ops::RangeInclusive;

use crate::policy::check_name;

/// Where a guest finds its scratch folder.
pub const SCRATCH: &str = "/scratch";

/// The most things of one kind (variables, secrets, folders, queues) a task may ask for or be granted.
pub const MAX_OF_A_KIND: usize = 32;

/// The most bytes the name of a variable, or the path of a folder, may have.
pub const MAX_WORD_BYTES: usize = 256;

/// Bytes a scratch folder may be given.
pub const SCRATCH_BYTES: RangeInclusive<u64> = 4096..=64 << 30;

/// The variables that are the host's own begin like this.
const OURS: &str = "AFRESH_";

/// Checks the names of environment variables, of which some are secrets.
///
/// # Errors
/// A sentence about the first that cannot be.
pub fn check_variables(env: &[&str], secrets: &[&str]) -> Result<(), String> {
    env.iter().chain(secrets).try_for_each(|name| check_variable(name))?;
    check_count("environment variables", env)?;
    check_count("secrets", secrets)?;
    match env.iter().find(|name| secrets.contains(name)) {
        Some(name) => Err(format!("`{name}` is a variable and a secret; leave one of them out")),
        None => Ok(()),
    }
}

/// Checks the guest's paths of folders: absolute, plain, none within another, none within [`SCRATCH`].
///
/// # Errors
/// A sentence about the first that cannot be.
pub fn check_folders(paths: &[&str]) -> Result<(), String> {
    paths.iter().try_for_each(|path| check_folder(path))?;
    check_count("folders", paths)?;
    for (n, path) in paths.iter().enumerate() {
        let others = paths[..n].iter().chain([&SCRATCH]);
        if let Some(other) = others.into_iter().find(|other| is_within(path, other) || is_within(other, path)) {
            return Err(format!("`{path}` lies within `{other}`, or around it; give each folder a place of its own"));
        }
    }
    Ok(())
}

/// Checks the names of queues.
///
/// # Errors
/// A sentence about the first that cannot be.
pub fn check_queues(names: &[&str]) -> Result<(), String> {
    names.iter().try_for_each(|name| check_name(name))?;
    check_count("queues", names)
}

/// Checks the bytes of a scratch folder.
///
/// # Errors
/// A sentence that says what they may be.
pub fn check_scratch(bytes: u64) -> Result<(), String> {
    match SCRATCH_BYTES.contains(&bytes) {
        true => Ok(()),
        false => Err("a scratch folder has from 4 KiB to 64 GiB".to_owned()),
    }
}

fn check_variable(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.len() > MAX_WORD_BYTES || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(not_a_variable(name));
    }
    if !name.chars().all(fine) {
        return Err(not_a_variable(name));
    }
    match name.starts_with(OURS) {
        true => Err(format!("`{name}` cannot be granted: what begins with `{OURS}` is the host's own")),
        false => Ok(()),
    }
}

fn not_a_variable(name: &str) -> String {
    format!("`{}` does not name a variable: use letters, digits and `_`, and begin with no digit", shown(name))
}

fn check_folder(path: &str) -> Result<(), String> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    match path.strip_prefix('/') {
        Some(rest) if path.len() <= MAX_WORD_BYTES && rest.split('/').all(plain) => Ok(()),
        _ => Err(format!("`{}` is no folder for a guest: use a plain absolute path, such as `/models`", shown(path))),
    }
}

fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn check_count(what: &str, words: &[&str]) -> Result<(), String> {
    if words.len() > MAX_OF_A_KIND {
        return Err(format!("{} {what} are too many, a task may have {MAX_OF_A_KIND}", words.len()));
    }
    match words.iter().enumerate().find(|(n, word)| words[..*n].contains(word)) {
        Some((_, word)) => Err(format!("`{word}` stands twice")),
        None => Ok(()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_plain_names_and_are_named_once() {
        assert_eq!(check_variables(&["LANG", "_x1"], &["API_KEY"]), Ok(()));
        let long = "A".repeat(MAX_WORD_BYTES + 1);
        for name in ["", "1A", "A-B", "A=B", "A\0", "É", "AFRESH_TASK", &long] {
            assert!(check_variables(&[name], &[]).is_err() && check_variables(&[], &[name]).is_err(), "{name:?}");
        }
        for (env, secrets) in [(["A", "A"].as_slice(), ["B"].as_slice()), (&["A"], &["A"]), (&[], &["B", "B"])] {
            assert!(check_variables(env, secrets).is_err(), "{env:?} {secrets:?}");
        }
    }

    #[test]
    fn folders_are_plain_absolute_paths_beside_each_other() {
        assert_eq!(check_folders(&["/models", "/models2", "/data/in", "/data/out"]), Ok(()));
        for path in ["", "/", "models", "/a/", "//a", "/a//b", "/a/./b", "/a/..", "/a\n", "/scratch", "/scratch/a"] {
            assert!(check_folders(&[path]).is_err(), "{path:?}");
        }
        for paths in [["/a", "/a"], ["/a", "/a/b"], ["/a/b", "/a"]] {
            assert!(check_folders(&paths).is_err(), "{paths:?}");
        }
    }

    #[test]
    fn of_one_kind_there_are_not_too_many() {
        let names: Vec<_> = (0..=MAX_OF_A_KIND).map(|n| format!("Q{n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        assert!(check_queues(&names).is_err() && check_variables(&names, &[]).is_err());
        assert_eq!((check_queues(&names[1..]), check_variables(&[], &names[1..])), (Ok(()), Ok(())));
        assert!(check_scratch(0).is_err() && check_scratch(1 << 40).is_err() && check_scratch(1 << 20).is_ok());
    }
}
