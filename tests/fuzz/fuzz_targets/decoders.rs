//! The fuzzer's bytes as everything that is read from outside.
#![no_main]

use afresh_fuzz_targets::targets::decoders;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| decoders(data));
