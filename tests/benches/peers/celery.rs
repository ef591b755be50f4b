//! Celery: a process for each of two cores, forked ahead, as it has them by itself, with 128 messages ahead for each, which its
//! manual advises for many short tasks. Once acknowledged late, so that a worker that dies loses nothing; once as it does by
//! itself, before a task is run.

use std::path::Path;

use crate::contender::{Contender, Facts, Guarantees, Recovery};
use crate::installed;
use crate::peer::{Peer, Variables, words};

const WORK: &str = "-m celery --app peer worker --concurrency 2 --prefetch-multiplier 128 --loglevel warning \
    --without-gossip --without-mingle";

const TIMEOUT: Recovery = Recovery::Job("visibility timeout, 1 h");

/// What was set: in words and in the environment; and what remains promised.
const SETTINGS: [(&str, Variables, Recovery); 2] = [
    ("prefork 2, prefetch 128, acks late", &[("PEER_ACKS_LATE", "yes")], TIMEOUT),
    ("prefork 2, prefetch 128", &[], Recovery::Nothing),
];

/// # Errors
/// If it cannot be installed.
pub(crate) fn contenders(python: &Path) -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let python = installed::venv(python, "celery")?;
    let release = installed::release("celery/requirements.txt", "celery==")?;
    let with = |(settings, variables, recovery): (&str, Variables, Recovery)| {
        let facts = Facts {
            peer: format!("Celery {release}"),
            settings: settings.to_owned(),
            guarantees: Guarantees {
                recovery,
                acknowledged: recovery != Recovery::Nothing,
                retried: true,
                own_memory: None,
            },
            jobs: 2_500,
            left: &["LLEN celery", "HLEN unacked"],
            // It keeps no record of a failure; its task cannot fail.
            failed: &[],
        };
        Box::new(Peer {
            facts,
            folder: installed::programs("celery"),
            enqueue: words(&python, "peer.py"),
            work: words(&python, WORK),
            variables,
        }) as Box<dyn Contender>
    };
    Ok(SETTINGS.map(with).into())
}
