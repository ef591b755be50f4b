//! The compiled task on logs that no server wrote: each gets a report.

use afresh_fuzz::{Outcome, guest};

#[test]
fn every_payload_gets_a_report() {
    let lines: Vec<_> = include_str!("../input.log").lines().step_by(500).collect();
    guest(env!("CARGO_MANIFEST_DIR"))
        .seeds([lines.join("\n")])
        .expect("a report", |_, outcome| matches!(outcome, Outcome::Succeeded(_)))
        .bytes();
}
