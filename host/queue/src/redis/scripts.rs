//! The scripts, one a verb: each is one atomic step. Their headers say what they are given and what they answer. What they
//! share stands once, in `common.lua`, which is put before each of them. Four parts come after it where they may be needed:
//! how a job is made in `accept.lua`, what becomes of chains and batches in `flow.lua`, what keeps jobs from starting in
//! `limits.lua`, and how they leave their queue in `ends.lua`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use redis::{Arg, Cmd, ToRedisArgs};

use super::rights;

/// A verb's script, and the digest by which a server knows it.
pub(super) struct Script {
    source: String,
    digest: String,
    #[cfg(feature = "steps")]
    next: Option<Box<Script>>,
}

/// A call of a script: what [`super::link::Link::invoke`] carries out.
pub(super) struct Call {
    script: &'static Script,
    command: Cmd,
    answer_bytes: usize,
}

impl Script {
    fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            digest: redis::Script::new(source).get_hash().to_owned(),
            #[cfg(feature = "steps")]
            next: next_version(source).map(|next| Box::new(Self::new(&next))),
        }
    }

    /// As the next version of Afresh would have it.
    #[cfg(feature = "steps")]
    pub(super) fn next(&self) -> &Self {
        self.next.as_deref().unwrap_or(self)
    }

    /// The commands it runs.
    pub(super) fn commands(&self) -> BTreeSet<&str> {
        rights::commands(&self.source)
    }

    /// A call of it on these keys, which are on one slot.
    pub(super) fn call<K: ToRedisArgs>(&'static self, keys: &[K]) -> Call {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.digest).arg(keys.len()).arg(keys);
        Call { script: self, command, answer_bytes: 0 }
    }
}

impl Call {
    /// Adds an argument, or several.
    pub(super) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.command.arg(arg);
        self
    }

    /// The answer may well be so large: it gets time for that.
    pub(super) fn answers(&mut self, bytes: usize) -> &mut Self {
        self.answer_bytes = bytes;
        self
    }

    /// The commands that the script runs.
    pub(super) fn commands(&self) -> BTreeSet<&'static str> {
        self.script.commands()
    }

    pub(super) fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// The call, by the script's digest.
    pub(super) fn by_digest(&self) -> &Cmd {
        &self.command
    }

    /// The call with the whole script, for a server that does not know it (any more). Not `SCRIPT LOAD`: that would go to
    /// every server of a cluster, and fail where one of them is down.
    pub(super) fn whole(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(&self.script.source);
        for arg in self.command.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                command.arg(bytes);
            }
        }
        command
    }
}

/// The same script where records are of a version that this one does not know.
#[cfg(feature = "steps")]
fn next_version(source: &str) -> Option<String> {
    let (this, next) = ("\nlocal VERSION = 3\n", "\nlocal VERSION = 4\n");
    source.contains(this).then(|| source.replace(this, next))
}

/// The scripts that drain a queue may run while Redis is over its memory limit: else a full Redis could never drain.
macro_rules! scripts {
    ($($name:ident: $shebang:literal $($file:literal)+),* $(,)?) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(concat!(
            $shebang, "\n", include_str!("scripts/common.lua"), $(include_str!(concat!("scripts/", $file))),+
        )));)*

        /// All of them.
        pub(super) static ALL: &[&LazyLock<Script>] = &[$(&$name),*];
    };
}

scripts! {
    ENQUEUE: "#!lua" "accept.lua" "enqueue.lua",
    LEASE: "#!lua flags=allow-oom" "accept.lua" "flow.lua" "limits.lua" "ends.lua" "lease.lua",
    EXTEND: "#!lua flags=allow-oom" "extend.lua",
    NOTE: "#!lua" "note.lua",
    SETTLE: "#!lua flags=allow-oom" "accept.lua" "flow.lua" "limits.lua" "ends.lua" "settle.lua",
    PROMOTE: "#!lua flags=allow-oom" "accept.lua" "flow.lua" "limits.lua" "ends.lua" "promote.lua",
    REAP: "#!lua flags=allow-oom" "reap.lua",
    CANCEL: "#!lua flags=allow-oom" "accept.lua" "flow.lua" "limits.lua" "ends.lua" "cancel.lua",
    RETRY: "#!lua flags=allow-oom" "accept.lua" "flow.lua" "limits.lua" "ends.lua" "retry.lua",
    REMOVE: "#!lua flags=allow-oom" "accept.lua" "flow.lua" "limits.lua" "ends.lua" "remove.lua",
    PURGE: "#!lua flags=allow-oom" "accept.lua" "flow.lua" "limits.lua" "ends.lua" "purge.lua",
    BATCH: "#!lua" "accept.lua" "flow.lua" "batch.lua",
    CANCEL_BATCH: "#!lua flags=allow-oom" "accept.lua" "flow.lua" "limits.lua" "ends.lua" "cancel-batch.lua",
    SEE: "#!lua flags=no-writes,allow-oom" "see.lua",
    SENT: "#!lua flags=allow-oom" "sent.lua",
    CRON: "#!lua" "cron.lua",
    FIRE: "#!lua flags=allow-oom" "accept.lua" "fire.lua",
    RULE: "#!lua flags=allow-oom" "limits.lua" "rule.lua",
    FAIR: "#!lua flags=allow-oom" "fair.lua",
    ANNOUNCE: "#!lua flags=allow-oom" "announce.lua",
    RIGHTS: "#!lua flags=allow-oom" "rights.lua",
}
