//! BullMQ: one Node.js process with so many jobs at once, as its manual advises for work that waits, and keeping nothing of a
//! job that has succeeded.

use std::path::Path;

use crate::contender::{Contender, Facts, Guarantees, Recovery};
use crate::installed;
use crate::peer::{Peer, words};

/// Jobs at once.
const CONCURRENCY: [usize; 2] = [50, 100];

/// # Errors
/// If it cannot be installed.
pub(crate) fn contenders() -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let folder = installed::node("bullmq")?;
    let release = installed::release("bullmq/package.json", "\"bullmq\": \"")?;
    let with = |concurrency: usize| {
        let facts = Facts {
            peer: format!("BullMQ {release}"),
            settings: format!("{concurrency} at once"),
            guarantees: Guarantees {
                recovery: Recovery::Job("lock with token, 30 s"),
                acknowledged: true,
                retried: true,
                own_memory: None,
            },
            jobs: 40_000,
            left: &["LLEN bull:default:wait", "LLEN bull:default:active"],
            failed: &["ZCARD bull:default:failed", "ZCARD bull:default:delayed"],
        };
        Box::new(Peer {
            facts,
            folder: folder.clone(),
            enqueue: words(Path::new("node"), "peer.js enqueue"),
            work: words(Path::new("node"), &format!("peer.js work {concurrency}")),
            variables: &[("NODE_ENV", "production")],
        }) as Box<dyn Contender>
    };
    Ok(CONCURRENCY.map(with).into())
}
