//! Histories of many jobs: cancelled, paused, limited; workers that shut down and vanish.
#![no_main]

use std::process::ExitCode;

use afresh_fuzz_targets::targets::stateful;
use afresh_host::compiler::COMPILE_VERB;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(
    init: compile_if_asked(),
    |data: &[u8]| -> Corpus { stateful(data).map_or(Corpus::Reject, |()| Corpus::Keep) }
);

/// A worker starts its own program again to compile a module, and here that is this one.
fn compile_if_asked() {
    if std::env::args().nth(1).as_deref() == Some(COMPILE_VERB) {
        std::process::exit(i32::from(afresh_host::cli::main() != ExitCode::SUCCESS));
    }
}
