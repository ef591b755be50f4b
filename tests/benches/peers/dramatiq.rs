//! Dramatiq: a process for each of two cores with eight threads each, as it has them by itself; with its prefetch raised, by
//! which it is fastest, and as it is.

use std::path::Path;

use crate::contender::{Contender, Facts, Guarantees, Recovery};
use crate::installed;
use crate::peer::{Peer, Variables, words};

/// What was set: in words and in the environment; and jobs of one drain.
const SETTINGS: [(&str, Variables, usize); 2] =
    [("2 × 8 threads, prefetch 1,000", &[("dramatiq_queue_prefetch", "1000")], 16_000), ("2 × 8 threads", &[], 10_000)];

/// # Errors
/// If it cannot be installed.
pub(crate) fn contenders(python: &Path) -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let python = installed::venv(python, "dramatiq")?;
    let release = installed::release("dramatiq/requirements.txt", "dramatiq==")?;
    let with = |(settings, variables, jobs): (&str, Variables, usize)| {
        let facts = Facts {
            peer: format!("Dramatiq {release}"),
            settings: settings.to_owned(),
            guarantees: Guarantees {
                recovery: Recovery::Worker("heartbeat, 60 s"),
                acknowledged: true,
                retried: true,
                own_memory: None,
            },
            jobs,
            left: &["HLEN dramatiq:default.msgs"],
            failed: &["HLEN dramatiq:default.DQ.msgs", "HLEN dramatiq:default.XQ.msgs"],
        };
        Box::new(Peer {
            facts,
            folder: installed::programs("dramatiq"),
            enqueue: words(&python, "peer.py"),
            work: words(&python, "-m dramatiq peer --processes 2 --threads 8"),
            variables,
        }) as Box<dyn Contender>
    };
    Ok(SETTINGS.map(with).into())
}
