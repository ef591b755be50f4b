//! The fuzzer's bytes as a module: broken ones, made of real ones.
#![no_main]

use afresh_fuzz_targets::targets::admission;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| admission(data));
