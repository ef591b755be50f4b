//! RQ: a pool of two workers that run jobs in their own process, by which it is fastest, and of two that fork a process for
//! each job, as they do by themselves.

use std::path::Path;

use crate::contender::{Contender, Facts, Guarantees, Recovery};
use crate::installed;
use crate::peer::{Peer, words};

/// What was set, the class of its workers, what gives an attempt memory of its own, and jobs of one drain.
const SETTINGS: [(&str, &str, Option<&str>, usize); 2] = [
    ("2 workers that do not fork", "rq.worker.SimpleWorker", None, 1_000),
    ("2 workers, a process per job", "rq.worker.Worker", Some("process"), 200),
];

/// # Errors
/// If it cannot be installed.
pub(crate) fn contenders(python: &Path) -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let python = installed::venv(python, "rq")?;
    let release = installed::release("rq/requirements.txt", "rq==")?;
    let with = |(settings, class, own_memory, jobs): (&str, &str, Option<&'static str>, usize)| {
        let facts = Facts {
            peer: format!("RQ {release}"),
            settings: settings.to_owned(),
            guarantees: Guarantees {
                recovery: Recovery::Job("heartbeat of the job, 90 s"),
                acknowledged: true,
                retried: true,
                own_memory,
            },
            jobs,
            left: &["LLEN rq:queue:default", "ZCARD rq:wip:default"],
            failed: &["ZCARD rq:failed:default", "ZCARD rq:scheduled:default"],
        };
        Box::new(Peer {
            facts,
            folder: installed::programs("rq"),
            enqueue: words(&python, "peer.py"),
            work: words(
                &python,
                &format!("-m rq.cli worker-pool --config peer -n 2 --quiet --worker-class {class} default"),
            ),
            variables: &[],
        }) as Box<dyn Contender>
    };
    Ok(SETTINGS.map(with).into())
}
