//! The figures of all rounds.

use std::fmt;

use afresh_bench_kit::median;
use serde::Serialize;

use crate::contender::{Contender, Guarantees};
use crate::drain::Drained;

/// What was found out, as it is printed with `--json`.
#[derive(Serialize)]
pub(crate) struct Findings {
    /// Fastest first.
    pub(crate) rows: Vec<Row>,
    /// The fastest of those that promise what Afresh does, and others.
    pub(crate) fastest: Vec<Fastest>,
    pub(crate) absent: Vec<Absent>,
}

/// One contender.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) peer: String,
    pub(crate) settings: String,
    pub(crate) guarantees: Guarantees,
    /// Jobs of one drain.
    pub(crate) jobs: usize,
    /// The median.
    pub(crate) jobs_a_second: f64,
    /// Those of Afresh over those of this one in the same round; the median. None without Afresh.
    pub(crate) afresh_ratio: Option<f64>,
    /// The most resident bytes of all its processes together; the median.
    pub(crate) peak_bytes: f64,
    /// Jobs a second in each round.
    pub(crate) rounds: Vec<f64>,
}

/// The fastest peer of some.
#[derive(Serialize)]
pub(crate) struct Fastest {
    /// Of which.
    pub(crate) of: &'static str,
    pub(crate) peer: String,
    pub(crate) afresh_ratio: f64,
}

/// A name for some peers, and whether one that promises this is one of them.
type Kind = (&'static str, fn(&Guarantees) -> bool);

/// Of which peers the fastest is named.
const KINDS: [Kind; 3] = [
    ("those with a lease or lock of each job, acknowledgement and retry", Guarantees::are_ours),
    ("those that lose no job when a worker dies", Guarantees::lose_nothing),
    ("all", |_| true),
];

/// Who has no row.
#[derive(Serialize)]
pub(crate) struct Absent {
    pub(crate) name: String,
    /// Whether only its runtime is missing; else it failed.
    pub(crate) skipped: bool,
    pub(crate) why: String,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", if self.skipped { "SKIPPED" } else { "FAILED" }, self.name, self.why)
    }
}

impl Findings {
    /// Everybody with his drains, as many as there were rounds.
    pub(crate) fn of(drained: &[(Box<dyn Contender>, Vec<Drained>)], absent: Vec<Absent>) -> Self {
        let is_afresh = |peer: &str| peer.starts_with("Afresh");
        let afresh = drained.iter().find(|(contender, _)| is_afresh(&contender.facts().peer)).map(|(_, drains)| drains);
        let row = |(contender, drains): &(Box<dyn Contender>, Vec<Drained>)| {
            let facts = contender.facts().clone();
            let rounds: Vec<f64> = drains.iter().map(|drain| drain.jobs_a_second).collect();
            let ratio =
                |ours: &Vec<Drained>| median(ours.iter().zip(&rounds).map(|(own, peer)| own.jobs_a_second / peer));
            Row {
                peer: facts.peer,
                settings: facts.settings,
                guarantees: facts.guarantees,
                jobs: drains.first().map_or(0, |drain| drain.jobs),
                jobs_a_second: median(rounds.iter().copied()),
                afresh_ratio: afresh.map(ratio),
                peak_bytes: median(drains.iter().map(|drain| drain.peak as f64)),
                rounds,
            }
        };
        let mut rows: Vec<Row> = drained.iter().map(row).collect();
        rows.sort_by(|one, other| other.jobs_a_second.total_cmp(&one.jobs_a_second));
        let fastest = |(of, promises): Kind| {
            let row = rows.iter().find(|row| !is_afresh(&row.peer) && promises(&row.guarantees))?;
            let peer = format!("{}, {}", row.peer, row.settings);
            Some(Fastest { of, peer, afresh_ratio: row.afresh_ratio? })
        };
        Self { fastest: KINDS.into_iter().filter_map(fastest).collect(), rows, absent }
    }
}
