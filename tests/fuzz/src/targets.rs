//! From the fuzzer's bytes to what must hold, one function a target.

use std::time::Duration;

use afresh_sandbox::Limits;
use arbitrary::{Result, Unstructured};

use crate::counts::count;
use crate::generators::broken::module_file;
use crate::generators::history::history;
use crate::generators::interpreter::Guest;
use crate::generators::program::program;
use crate::generators::task_call::TaskCall;
use crate::generators::trial::{Grants, Trial};
use crate::oracles::admission::admit;
use crate::oracles::attempt::attempt;
use crate::oracles::ledger::replay;
use crate::oracles::{decoders, model, twins};

/// Bytes of a payload that is made of the fuzzer's bytes, where the module is made of them as well.
const SMALL_PAYLOAD: usize = 64;

/// Generated modules through a whole attempt.
///
/// # Errors
/// When the bytes are used up.
pub fn generated(data: &[u8]) -> Result<()> {
    let u = &mut Unstructured::new(data);
    let trial = Trial::arbitrary(u, SMALL_PAYLOAD)?;
    let wasm = program(u)?;
    count("made");
    if let Some(module) = admit(&wasm, trial.limits.fuel.is_some()) {
        attempt(&module, &trial);
    }
    Ok(())
}

/// The fuzzer's bytes as host calls.
///
/// # Errors
/// When the bytes are used up.
pub fn host_calls(data: &[u8]) -> Result<()> {
    let u = &mut Unstructured::new(data);
    let guest = if u.ratio(3, 4)? { Guest::Sdk } else { Guest::Command };
    let mut trial = Trial::arbitrary(u, 0)?;
    trial.payload = u.bytes(u.len())?.to_vec();
    let (report, requests) = attempt(guest.module(trial.limits.fuel.is_some()), &trial);
    if guest == Guest::Sdk {
        model::compare(&trial, &report, &requests);
    }
    Ok(())
}

/// The fuzzer's bytes as a module file.
///
/// # Errors
/// When the bytes are used up.
pub fn admission(data: &[u8]) -> Result<()> {
    let trial = Trial {
        payload: b"payload".to_vec(),
        limits: Limits { memory: 16 << 20, timeout: Duration::from_millis(10), ..Limits::default() },
        cancel: None,
        grants: Grants { outbox: true, ..Grants::default() },
        watched: false,
    };
    if let Some(module) = admit(&module_file(data)?, false) {
        attempt(&module, &trial);
    }
    Ok(())
}

/// The fuzzer's bytes as everything that is read from outside; the first says as what.
pub fn decoders(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    let (name, decode) = decoders::ALL[usize::from(which) % decoders::ALL.len()];
    count(name);
    decode(bytes);
}

/// A history of many jobs.
///
/// # Errors
/// When the bytes are used up.
pub fn stateful(data: &[u8]) -> Result<()> {
    let history = history(&mut Unstructured::new(data))?;
    count("histories");
    replay(history);
    Ok(())
}

/// A call of a task, natively and as a guest.
///
/// # Errors
/// When the bytes are used up.
pub fn differential(data: &[u8]) -> Result<()> {
    let call = TaskCall::arbitrary(&mut Unstructured::new(data))?;
    count(call.task);
    twins::compare(&call);
    Ok(())
}
