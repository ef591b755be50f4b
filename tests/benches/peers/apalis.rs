//! apalis, in Rust, with its storage in Redis and a task of tokio's for each job: with everything on, as it is by itself; with
//! acknowledgements but without locks and events; and with neither.

use crate::contender::{Contender, Facts, Guarantees, Recovery};
use crate::installed;
use crate::peer::{Peer, words};

const HEARTBEAT: Recovery = Recovery::Worker("heartbeat, 50 s");

const LOCK: Recovery = Recovery::Job("lock, and worker's heartbeat, 50 s");

/// What was set, in the words of its program and of ours, what remains promised, and jobs of one drain. A lock costs it a walk
/// through the whole queue for each job, so that it is the slower the more are waiting: once with few, once with more.
const SETTINGS: [(&str, &str, Recovery, bool, usize); 4] = [
    ("all", "batches of 100, a short queue", LOCK, true, 5_000),
    ("all", "batches of 100, a longer queue", LOCK, true, 20_000),
    ("acks", "batches of 100, no locks, no events", HEARTBEAT, true, 60_000),
    ("none", "batches of 100, no locks, events or acks", Recovery::Nothing, false, 60_000),
];

/// # Errors
/// If it does not build.
pub(crate) fn contenders() -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let program = installed::rust("apalis")?;
    let release = installed::release("../rust/Cargo.lock", "name = \"apalis-redis\"\nversion = \"")?;
    let with = |(setting, settings, recovery, kept, jobs): (&str, &str, _, _, _)| {
        let facts = Facts {
            peer: format!("apalis {release}"),
            settings: settings.to_owned(),
            guarantees: Guarantees { recovery, acknowledged: kept, retried: kept, own_memory: None },
            jobs,
            // What its worker has taken stays there for ever where nothing is acknowledged.
            left: if kept { &["LLEN default:active", "SCARD default:inflight:peer"] } else { &["LLEN default:active"] },
            failed: &["ZCARD default:scheduled", "SCARD default:dead"],
        };
        Box::new(Peer {
            facts,
            folder: installed::cache(),
            enqueue: words(&program, "enqueue"),
            work: words(&program, &format!("work 100 {setting}")),
            variables: &[],
        }) as Box<dyn Contender>
    };
    Ok(SETTINGS.map(with).into())
}
