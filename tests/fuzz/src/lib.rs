//! What the fuzz targets are made of. A target is a file of a few lines in `fuzz_targets/`: it hands the fuzzer's bytes
//! to one function of [`targets`].
//!
//! * [`targets`]: from the fuzzer's bytes to what must hold, one function a target
//! * [`generators`]: what the bytes become: modules, limits, scripts of host calls, histories
//! * [`oracles`]: what must hold, whatever the bytes are
//! * [`counts`]: how far a run gets

pub mod counts;
pub mod generators;
pub mod oracles;
pub mod targets;
