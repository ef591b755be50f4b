//! Module files: broken ones, made of real ones.
#![no_main]

use afresh_fuzz_targets::targets::admission;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { admission(data).map_or(Corpus::Reject, |()| Corpus::Keep) });
