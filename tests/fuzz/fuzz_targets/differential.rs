//! Tasks natively, and as a guest.
#![no_main]

use afresh_fuzz_targets::targets::differential;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { differential(data).map_or(Corpus::Reject, |()| Corpus::Keep) });
