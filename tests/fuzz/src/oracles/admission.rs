//! A module is refused for a named reason, or it compiles.

use std::time::Duration;

use afresh_sandbox::{ModuleError, TaskModule, check};

use super::attempt::sandbox;
use super::in_time;
use crate::counts::count;

/// How long a look at a module of a few kilobytes may take.
const SLACK: Duration = Duration::from_secs(2);

/// Bytes of the sentence that says why a module is refused. The longest lists what may be imported.
const LONGEST_SENTENCE: usize = 2_000;

/// Checks and compiles a module; `None` where it is refused.
pub fn admit(wasm: &[u8], metered: bool) -> Option<TaskModule> {
    let checked = in_time(SLACK, || check(wasm));
    let loaded = if metered { sandbox().load_metered(wasm) } else { sandbox().load(wasm) };
    match (checked, loaded) {
        (Ok(info), Ok(module)) => {
            assert_eq!(&info, module.info());
            count("admitted");
            Some(module)
        }
        (Err(refused), Err(again)) => {
            assert_eq!(refused, again);
            assert_sentence(&refused);
            count("refused");
            None
        }
        // The sandbox asks for two things more: that its own bound on memory is kept, and that the compiler can do it.
        (Ok(_), Err(refused @ (ModuleError::TooLarge(_) | ModuleError::Compile(_)))) => {
            assert_sentence(&refused);
            count("refused by the sandbox");
            None
        }
        (checked, loaded) => panic!("the check says {checked:?}, the sandbox {:?}", loaded.err()),
    }
}

fn assert_sentence(refused: &ModuleError) {
    let text = refused.to_string();
    assert!(text.len() <= LONGEST_SENTENCE, "a sentence of {} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "a control character in {text:?}");
}
