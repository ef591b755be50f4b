//! rusty-sidekiq, Sidekiq in Rust. A job leaves its queue when it is taken, and Redis keeps no count of what runs: a worker that
//! dies loses what it had.

use crate::contender::{Contender, Facts, Guarantees, Recovery};
use crate::installed;
use crate::peer::{Peer, words};

/// Jobs at once.
const WORKERS: [usize; 2] = [50, 100];

/// # Errors
/// If it does not build.
pub(crate) fn contenders() -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let program = installed::rust("sidekiq")?;
    let release = installed::release("../rust/Cargo.lock", "name = \"rusty-sidekiq\"\nversion = \"")?;
    let with = |workers: usize| {
        let facts = Facts {
            peer: format!("rusty-sidekiq {release}"),
            settings: format!("{workers} at once"),
            guarantees: Guarantees {
                recovery: Recovery::Nothing,
                acknowledged: false,
                retried: true,
                own_memory: None,
            },
            jobs: 40_000,
            left: &["LLEN queue:default"],
            failed: &["ZCARD retry", "ZCARD dead"],
        };
        Box::new(Peer {
            facts,
            folder: installed::cache(),
            enqueue: words(&program, "enqueue"),
            work: words(&program, &format!("work {workers}")),
            variables: &[],
        }) as Box<dyn Contender>
    };
    Ok(WORKERS.map(with).into())
}
