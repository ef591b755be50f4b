//! The command that runs a payload again, under the limits that it was run under here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::show;

/// One attempt of a task with `afresh run`, which would take its own limits where it is not told those of the fuzzer.
#[derive(Clone, Debug, Default)]
pub struct Again {
    /// The module's file.
    pub module: PathBuf,
    /// The task's name.
    pub task: String,
    /// Bytes of memory, where somebody chose that.
    pub memory: Option<u64>,
    /// The time of an attempt, where somebody chose that.
    pub timeout: Option<Duration>,
    /// The fuel of an attempt, where somebody chose that.
    pub fuel: Option<u64>,
    /// The configuration file, where somebody named one.
    pub config: Option<PathBuf>,
}

impl Again {
    /// The command for the payload in `file`, to be typed into a shell.
    pub fn command(&self, file: &Path) -> String {
        let Self { module, task, memory, timeout, fuel, config } = self;
        let flags = [
            ("memory", memory.map(|bytes| bytes.to_string())),
            ("timeout", timeout.map(|time| humantime::format_duration(time).to_string())),
            ("fuel", fuel.map(|fuel| fuel.to_string())),
            ("config", config.as_ref().map(|file| file.display().to_string())),
        ];
        let words = [module.display().to_string(), task.clone(), format!("@{}", file.display())];
        let mut command = String::from("afresh run");
        words.iter().for_each(|word| command.extend([" ", &show::word(word)]));
        for (flag, value) in flags {
            command.extend(value.map(|value| format!(" --{flag}={}", show::word(&value))));
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_that_somebody_chose_are_in_the_command_and_a_path_is_one_word() {
        let again = Again { module: "a.wasm".into(), task: "t".into(), ..Again::default() };
        assert_eq!(again.command(Path::new("found/x-1")), "afresh run a.wasm t @found/x-1");
        let (memory, timeout, fuel) = (Some(1024), Some(Duration::from_millis(61_500)), Some(7));
        let again =
            Again { module: "it's here/a.wasm".into(), memory, timeout, fuel, config: Some("c".into()), ..again };
        assert_eq!(
            again.command(Path::new("$x")),
            r"afresh run 'it'\''s here/a.wasm' t '@$x' --memory=1024 --timeout='1m 1s 500ms' --fuel=7 --config=c"
        );
    }
}
