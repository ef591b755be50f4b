//! Generated modules, shaped to our imports and exports, through a whole attempt.
#![no_main]

use afresh_fuzz_targets::targets::generated;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { generated(data).map_or(Corpus::Reject, |()| Corpus::Keep) });
