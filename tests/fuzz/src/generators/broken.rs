//! A real module with a few bytes wrong: what a fuzzer makes of whole files is nearly always refused, because it hits a
//! length or a count.

use arbitrary::{Result, Unstructured};

/// The modules, out of the seeds. The order stays: a case says by a number which it means.
const MODULES: [&[u8]; 6] = [
    include_bytes!("../../seeds/admission/sdk-module.wasm"),
    include_bytes!("../../seeds/admission/command-in-c.wasm"),
    include_bytes!("../../seeds/admission/echo_sdk.wasm"),
    include_bytes!("../../seeds/admission/echo_command.wasm"),
    include_bytes!("../../seeds/admission/args_and_environment.wasm"),
    include_bytes!("../../seeds/admission/memory_page_by_page.wasm"),
];

/// The most places where it is wrong.
const MOST: usize = 4;

/// A module file: the bytes themselves where they are one, else what they make of a real one.
///
/// # Errors
/// When the bytes are used up.
pub fn module_file(bytes: &[u8]) -> Result<Vec<u8>> {
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes.to_vec());
    }
    let u = &mut Unstructured::new(bytes);
    let mut wasm = u.choose(&MODULES)?.to_vec();
    for _ in 0..u.int_in_range(1..=MOST)? {
        harm(&mut wasm, u)?;
    }
    Ok(wasm)
}

fn harm(wasm: &mut Vec<u8>, u: &mut Unstructured<'_>) -> Result<()> {
    if wasm.is_empty() {
        return Ok(());
    }
    let at = u.choose_index(wasm.len())?;
    let few = at..wasm.len().min(at + u.int_in_range(1..=8)?);
    match u.int_in_range(0..=15)? {
        0 => wasm.truncate(at),
        1 => drop(wasm.drain(few)),
        2 => wasm.extend_from_within(few),
        3 => wasm[at] ^= 1 << u.int_in_range(0..=7)?,
        4 => wasm[at] = u.arbitrary()?,
        _ => other_constant(&mut wasm[at..], u.int_in_range(1..=0x7f)?),
    }
    Ok(())
}

/// Changes the next operand of an `i32.const`, but not its length: that is mostly valid still, and does something else.
fn other_constant(code: &mut [u8], bits: u8) {
    const I32_CONST: u8 = 0x41;
    if let Some(place) = code.iter().position(|byte| *byte == I32_CONST)
        && let Some(operand) = code.get_mut(place + 1)
    {
        *operand ^= bits;
    }
}
