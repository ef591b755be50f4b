//! Histories of many jobs: cancelled, paused, limited; workers that shut down and vanish.
#![no_main]

use afresh_fuzz_targets::targets::stateful;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { stateful(data).map_or(Corpus::Reject, |()| Corpus::Keep) });
