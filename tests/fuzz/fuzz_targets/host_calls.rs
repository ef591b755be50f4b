//! One guest that reads the fuzzer's bytes as host calls.
#![no_main]

use afresh_fuzz_targets::targets::host_calls;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { host_calls(data).map_or(Corpus::Reject, |()| Corpus::Keep) });
