//! What an operator grants single tasks beyond their payload and their log: nothing, unless `[tasks.NAME]` says so.
//!
//! * [`listing`]: what is asked for and what is granted, by name, for people
//! * [`scratch`]: the folders that guests may write

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use afresh_protocol::grants;
use afresh_sandbox::files::HOST_BYTES;
use afresh_sandbox::secrets::MAX_SECRET_BYTES;
use afresh_sandbox::{Call, Folder, Scratch, Secret, Secrets};
use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::config::{Config, TaskCeilings};

pub mod listing;
pub mod scratch;

use scratch::{ScratchFolder, ScratchFolders};

/// Where a secret's value is: never the value itself, so that a configuration can be shown to anybody.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretSource {
    /// `env:NAME`: in this variable of the worker's own environment.
    Env(String),
    /// `file:PATH`: in this file, without its last line end.
    File(PathBuf),
}

impl TryFrom<String> for SecretSource {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            // It may be the secret itself, so it is not shown.
            _ => Err("a secret is `env:NAME` or `file:PATH`, which say where its value is, and never the value"),
        }
    }
}

impl SecretSource {
    fn read(&self) -> anyhow::Result<Secret> {
        let value = match self {
            Self::Env(name) => std::env::var_os(name)
                .with_context(|| format!("the environment variable {name} is not set; set it for this program"))?
                .into_string()
                .ok()
                .with_context(|| format!("the environment variable {name} is not UTF-8"))?,
            Self::File(path) => read_file(path).with_context(|| format!("the file {}", path.display()))?,
        };
        Secret::new(&value).map_err(anyhow::Error::msg)
    }
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    // Two more than it may have: its line end, or what shows that it has too many.
    std::fs::File::open(path)?.take(MAX_SECRET_BYTES as u64 + 2).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).ok().context("it is not UTF-8")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Checks what a task's section grants, as far as that can be told without a look at the machine.
///
/// # Errors
/// Which grant cannot be.
pub fn check(task: &TaskCeilings) -> anyhow::Result<()> {
    let env: Vec<_> = task.env.keys().map(String::as_str).collect();
    let secrets: Vec<_> = task.secrets.keys().map(String::as_str).collect();
    let folders: Vec<_> = task.folders.keys().map(String::as_str).collect();
    let queues: Vec<_> = task.enqueue.iter().map(String::as_str).collect();
    grants::check_variables(&env, &secrets)
        .and_then(|()| grants::check_folders(&folders))
        .and_then(|()| grants::check_queues(&queues))
        .and_then(|()| task.scratch.map_or(Ok(()), |size| grants::check_scratch(size.as_u64())))
        .map_err(anyhow::Error::msg)?;
    let nul = task.env.iter().find(|(_, value)| value.contains('\0'));
    ensure!(nul.is_none(), "the value of {} holds a NUL", nul.map_or("", |(name, _)| name));
    Ok(())
}

/// What one task is granted, ready to be handed to it.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    env: Vec<(String, String)>,
    secrets: Secrets,
    folders: Vec<Folder>,
    /// Bytes of its scratch folder.
    scratch: Option<u64>,
}

impl Grants {
    /// What its section of the configuration grants a task: reads its secrets, looks after its folders.
    ///
    /// # Errors
    /// When a secret is not there or cannot be one, or a folder is none; with the name, and never with the value.
    pub fn of(section: Option<&TaskCeilings>, name: &str) -> anyhow::Result<Self> {
        let Some(task) = section else { return Ok(Self::default()) };
        let secret = |(variable, source): (&String, &SecretSource)| {
            let secret = source.read().with_context(|| format!("tasks.{name}.secrets.{variable} cannot be read"))?;
            Ok((variable.clone(), secret))
        };
        let secrets = task.secrets.iter().map(secret).collect::<anyhow::Result<_>>()?;
        for host in task.folders.values() {
            std::fs::read_dir(host)
                .with_context(|| format!("tasks.{name}.folders: {} cannot be read", host.display()))?;
        }
        let folder = |(guest, host): (&String, &PathBuf)| Folder { guest: guest.clone(), host: host.clone() };
        Ok(Self {
            env: task.env.clone().into_iter().collect(),
            secrets: Secrets::new(secrets)
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("tasks.{name}.secrets"))?,
            folders: task.folders.iter().map(folder).collect(),
            scratch: task.scratch.map(|size| size.as_u64()),
        })
    }

    /// Whether there is a scratch folder among them.
    pub fn has_scratch(&self) -> bool {
        self.scratch.is_some()
    }

    /// The most bytes that the host holds for them while an attempt runs.
    fn host_bytes(&self) -> u64 {
        if self.folders.is_empty() && self.scratch.is_none() { 0 } else { HOST_BYTES }
    }

    /// Hands them to one attempt, which has to be over before what this answers is dropped: its scratch folder.
    ///
    /// # Errors
    /// When the scratch folder cannot be made.
    pub fn hand(&self, call: &mut Call, folders: Option<&ScratchFolders>) -> anyhow::Result<Option<ScratchFolder>> {
        self.env.iter().for_each(|(name, value)| call.env.set(name, value));
        call.secrets = self.secrets.clone();
        call.folders.clone_from(&self.folders);
        let Some(bytes) = self.scratch else { return Ok(None) };
        let folder = folders.context("has no place for scratch folders")?.make()?;
        call.scratch = Some(Scratch { host: folder.path().to_owned(), bytes });
        Ok(Some(folder))
    }
}

/// What a worker grants all its tasks.
#[derive(Debug, Default)]
pub struct GrantBook {
    tasks: BTreeMap<String, Grants>,
    nothing: Grants,
    folders: Option<ScratchFolders>,
}

impl GrantBook {
    /// What the configuration grants: each secret is read here, once, and each folder looked after. Removes what workers
    /// that were killed have left of their scratch folders.
    ///
    /// # Errors
    /// As [`Grants::of`]; and when there is no place for scratch folders.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let grants = |(name, section): (&String, _)| Ok((name.clone(), Grants::of(Some(section), name)?));
        let tasks: BTreeMap<_, _> = config.tasks.iter().map(grants).collect::<anyhow::Result<_>>()?;
        let place = &config.worker.scratch;
        scratch::sweep(place);
        let folders = tasks.values().any(Grants::has_scratch).then(|| ScratchFolders::open(place)).transpose()?;
        Ok(Self { tasks, nothing: Grants::default(), folders })
    }

    /// The most bytes that the host holds for what a task is granted, while an attempt of it runs.
    pub fn host_bytes(&self, task: &str) -> u64 {
        self.tasks.get(task).map_or(0, Grants::host_bytes)
    }

    /// Hands an attempt what its task is granted; see [`Grants::hand`].
    ///
    /// # Errors
    /// When the scratch folder cannot be made.
    pub fn hand(&self, task: &str, call: &mut Call) -> anyhow::Result<Option<ScratchFolder>> {
        self.tasks.get(task).unwrap_or(&self.nothing).hand(call, self.folders.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(section: &str) -> anyhow::Result<Config> {
        Config::parse(&format!("[tasks.a]\n{section}"))
    }

    #[test]
    fn what_cannot_be_granted_is_named_with_its_task_and_key() {
        for (section, words) in [
            ("env = { AFRESH_TASK = \"b\" }", "AFRESH_"),
            ("env = { \"A=B\" = \"c\" }", "does not name a variable"),
            ("env = { A = \"b\\u0000\" }", "the value of A holds a NUL"),
            ("env = { A = \"b\" }\nsecrets = { A = \"env:B\" }", "`A` is a variable and a secret"),
            ("secrets = { A = \"hunter22\" }", "never the value"),
            ("secrets = { A = \"env:\" }", "never the value"),
            ("folders = { models = \"/srv\" }", "no folder for a guest"),
            ("folders = { \"/a\" = \"/srv\", \"/a/b\" = \"/srv\" }", "lies within"),
            ("folders = { \"/scratch\" = \"/srv\" }", "lies within"),
            ("scratch = \"1 TiB\"", "from 4 KiB to 64 GiB"),
            ("enqueue = [\"no queue\"]", "is not a name"),
        ] {
            let error = format!("{:#}", config(section).unwrap_err());
            assert!(error.contains(words) && !error.contains("hunter22"), "{section}: {error}");
        }
    }

    #[test]
    fn a_secret_is_read_where_its_source_says_and_its_value_is_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let config = config(&format!("secrets = {{ TOKEN = \"file:{}\" }}", file.display())).unwrap();
        for (content, words) in [
            (None, "No such file"),
            (Some("short\n".to_owned()), "has 5 bytes"),
            (Some("x".repeat(MAX_SECRET_BYTES + 1)), "the limit is"),
            (Some("with a \0 in it".to_owned()), "a NUL"),
        ] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let error = format!("{:#}", Grants::of(config.tasks.get("a"), "a").unwrap_err());
            assert!(error.contains("tasks.a.secrets.TOKEN") && error.contains(words), "{error}");
        }
        for end in ["", "\n", "\r\n"] {
            std::fs::write(&file, format!("correct horse battery{end}")).unwrap();
            let grants = Grants::of(config.tasks.get("a"), "a").unwrap();
            assert!(!format!("{grants:?} {config:?}").contains("horse"), "{grants:?}");
        }
    }

    #[test]
    fn a_folder_that_is_none_and_a_variable_that_is_not_set_are_named() {
        for (section, words) in [
            ("folders = { \"/a\" = \"/no/such/folder\" }", "/no/such/folder cannot be read"),
            ("folders = { \"/a\" = \"/dev/null\" }", "/dev/null cannot be read"),
            ("secrets = { A = \"env:NO_SUCH_VARIABLE_HERE\" }", "NO_SUCH_VARIABLE_HERE is not set"),
        ] {
            let error = format!("{:#}", Grants::of(config(section).unwrap().tasks.get("a"), "a").unwrap_err());
            assert!(error.contains("tasks.a.") && error.contains(words), "{section}: {error}");
        }
    }
}
