//! Which jobs of a queue a rule is for: as flags on the command line, and in words for people.

use afresh_queue::Scope;
use clap::Args as ClapArgs;

use super::Usage;
use super::page::cell;

// Said on the command line alone: a forgotten variable must not choose what is held back.
/// The flags that narrow a rule down.
#[derive(ClapArgs, Debug)]
#[group(multiple = false)]
pub(super) struct Narrowed {
    /// Only the jobs of this task
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only the jobs for this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Narrowed {
    /// What the flags mean: without one the queue itself.
    ///
    /// # Errors
    /// [`Usage`] where the name cannot be.
    pub(super) fn scope(self) -> Result<Scope, Usage> {
        let scope = match (self.task, self.key) {
            (Some(task), _) => Scope::Task(task),
            (None, Some(key)) => Scope::Key(key),
            (None, None) => Scope::Queue,
        };
        scope.check().map_err(Usage)?;
        Ok(scope)
    }
}

/// In a sentence: `the task resize of the queue mail`.
pub(super) fn words(queue: &str, scope: &Scope) -> String {
    let queue = cell(queue);
    match scope {
        Scope::Queue => format!("the queue {queue}"),
        Scope::Task(task) => format!("the task {} of the queue {queue}", cell(task)),
        Scope::Key(key) => format!("the key {} of the queue {queue}", cell(key)),
        Scope::EachKey => format!("each key of the queue {queue}"),
    }
}

/// As flags of a command to type, with a blank before them.
pub(super) fn flags(scope: &Scope) -> String {
    match scope {
        Scope::Queue => String::new(),
        Scope::Task(task) => format!(" --task={}", quoted(task)),
        Scope::Key(key) => format!(" --key={}", quoted(key)),
        Scope::EachKey => " --each-key".to_owned(),
    }
}

/// A producer's text as one word of a shell, and harmless on the way there.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:@/+,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", cell(text).replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_type_takes_a_key_for_one_word_whatever_is_in_it() {
        let typed = |key: &str| flags(&Scope::Key(key.to_owned()));
        assert_eq!(typed("customer:42"), " --key=customer:42");
        assert_eq!(typed("x;reboot"), " --key='x;reboot'");
        assert_eq!(typed("it's$(id)"), r" --key='it'\''s$(id)'");
        assert_eq!(typed("\u{202e}x"), r" --key='\u{202e}x'");
    }
}
