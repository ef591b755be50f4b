//! What must hold, whatever the fuzzer's bytes are.
//!
//! * [`admission`]: a module is refused for a named reason, or it compiles
//! * [`attempt`]: an attempt ends in time, within its walls, as one outcome, and leaves nothing behind
//! * [`decoders`]: whatever reads bytes from outside does so without harm
//! * [`grants`]: an attempt changes nothing but its scratch folder, and tells nobody a secret
//! * [`ledger`]: in the end every job has come to one end, what was to follow has followed, and all is given back
//! * [`model`]: what a script of host calls must come to
//! * [`twins`]: a task does the same natively and as a guest

pub mod admission;
pub mod attempt;
pub mod decoders;
pub mod grants;
pub mod ledger;
pub mod model;
pub mod twins;

use std::time::{Duration, Instant};

/// How often something may be late before that is a finding: a machine that stood still once is none.
const TRIES: usize = 3;

/// What `work` answers, which is to be done within `limit`; if it was late it is done again.
///
/// # Panics
/// When it is late every time.
pub(crate) fn in_time<T>(limit: Duration, mut work: impl FnMut() -> T) -> T {
    for _ in 0..TRIES {
        let started = Instant::now();
        let done = work();
        if started.elapsed() < limit {
            return done;
        }
    }
    panic!("it took longer than {limit:?}, {TRIES} times in a row");
}
