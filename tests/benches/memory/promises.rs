//! What Afresh must show, each promise with its figure. The same for both scenarios but for the peak.

use crate::recording::Recording;
use crate::scenario::{BYTES, Scenario};
use crate::summary::Summary;

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// One promise: what, how much at most, how much it was.
pub struct Promise {
    pub scenario: Scenario,
    pub what: &'static str,
    pub at_most: String,
    pub figure: String,
    pub kept: bool,
}

/// The promises of one run of Afresh. A figure that is missing breaks its promise.
pub fn of(run: &Recording) -> Vec<Promise> {
    let sum = Summary::of(run);
    let scenario = run.scenario;
    let bytes = |what, figure: f64, at_most: f64| Promise {
        scenario,
        what,
        at_most: amount(at_most),
        figure: amount(figure),
        kept: figure <= at_most,
    };
    let late = Promise {
        scenario,
        what: "from the end of a backoff to the attempt’s start, 95 of 100",
        at_most: "5 ms".to_owned(),
        figure: format!("{:.2} ms (the slowest {:.2} ms)", sum.late.p95, sum.late.max),
        kept: sum.late.p95 <= 5.0,
    };
    let allocated = match scenario {
        Scenario::Holds => BYTES as f64,
        Scenario::Text => sum.guest_peak.unwrap_or(f64::NAN),
    };
    let peak = match scenario {
        Scenario::Holds => "the peak over that: 128 MiB, and 8",
        Scenario::Text => "the peak over that: what the guest allocates, and 8 MiB",
    };
    vec![
        bytes("the worker’s memory before the first attempt", sum.before, 32.0 * MIB),
        bytes("the most that is left of it between attempts", sum.between.max - sum.before, MIB),
        bytes("its growth from the first third of the run to the last", sum.growth, 0.25 * MIB),
        bytes(peak, sum.peak - sum.before, allocated + 8.0 * MIB),
        bytes("the broker’s memory for the job", sum.keys.max, 32.0 * KIB),
        bytes("its growth from the middle third to the last", sum.keys_growth, 0.25 * KIB),
        late,
    ]
}

fn amount(bytes: f64) -> String {
    if bytes.abs() < MIB / 4.0 { format!("{:.2} KiB", bytes / KIB) } else { format!("{:.2} MiB", bytes / MIB) }
}
