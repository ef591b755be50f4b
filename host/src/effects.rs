//! What a test's ledger knows a worker by, even after SIGKILL: with `AFRESH_EFFECTS=FILE` each run of a guest leaves a line
//! of JSON in that file before it, and one after it, each on the disk before anything else happens. Only in builds with
//! the feature `steps`, which no shipped program has.

use std::fs::File;
use std::io::Write as _;
use std::sync::LazyLock;

use afresh_protocol::Outcome;
use afresh_queue::Lease;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// As much of a reply as a line holds, in bytes.
const REPLY: usize = 256;

/// A guest is about to run under this lease.
pub fn started(lease: &Lease, worker: &str) {
    if let Some(ledger) = ledger() {
        write(ledger, "start", lease, worker, json!({}));
    }
}

/// The guest that ran under this lease has ended; nobody but its slot knows.
pub fn ended(lease: &Lease, worker: &str, outcome: &Outcome) {
    if let Some(ledger) = ledger() {
        let mut end = json!({ "outcome": outcome.kind().as_str() });
        if let Outcome::Succeeded(reply) = outcome {
            end["reply"] = String::from_utf8_lossy(&reply[..reply.len().min(REPLY)]).into();
            end["reply_bytes"] = reply.len().into();
        }
        write(ledger, "end", lease, worker, end);
    }
}

fn ledger() -> Option<&'static File> {
    static LEDGER: LazyLock<Option<File>> = LazyLock::new(|| {
        let path = std::env::var_os("AFRESH_EFFECTS")?;
        Some(File::options().create(true).append(true).open(path).expect("the file of AFRESH_EFFECTS can be opened"))
    });
    if cfg!(feature = "steps") { LEDGER.as_ref() } else { None }
}

fn write(mut ledger: &File, what: &str, lease: &Lease, worker: &str, mut line: Value) {
    // The kernel's clock itself, whatever a test makes this process believe of the time.
    let now = clock_gettime(ClockId::Realtime);
    line["at_us"] = (now.tv_sec * 1_000_000 + now.tv_nsec / 1_000).into();
    line["what"] = what.into();
    line["job"] = lease.job.id.as_str().into();
    line["queue"] = lease.job.queue.as_str().into();
    line["attempt"] = lease.job.counters.starts.into();
    line["token"] = lease.token.into();
    line["worker"] = worker.into();
    // One write, so that lines of several slots never mix.
    ledger.write_all(format!("{line}\n").as_bytes()).expect("the file of AFRESH_EFFECTS takes a line");
    ledger.sync_data().expect("the disk takes a line of AFRESH_EFFECTS");
}
