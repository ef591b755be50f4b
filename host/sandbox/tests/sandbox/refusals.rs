//! Files that are not task modules: each is refused with one sentence that says what is wrong and what to do.

use afresh_sandbox::{Call, Cancel, Limits, ModuleKind, Outcome, Sandbox, SandboxConfig, SandboxError, check};

use crate::support::{run, sandbox};

/// The sentence with which `wasm` is refused.
fn refusal(wasm: &[u8]) -> String {
    let error = check(wasm).map(|info| format!("{info:?}")).expect_err("it is refused").to_string();
    assert!(error.len() < 1500, "the sentence has {} bytes", error.len());
    error
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("valid text")
}

const GOOD: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

#[test]
fn what_is_not_a_core_module_is_told_by_what_it_is() {
    let good = wat(GOOD);
    for (bytes, says) in [
        (&b""[..], "the file is empty"),
        (&good[..3], "cut off after 3 bytes"),
        (&good[..good.len() - 1], "cut off"),
        (&good[..20], "cut off"),
        (GOOD.as_bytes(), "WebAssembly text"),
        (b"\n;; a comment first\n(module)", "WebAssembly text"),
        (&wat("(component)"), "component"),
        (b"\x7fELF\x02\x01\x01", "native code"),
        (b"#!/bin/sh\necho", "not WebAssembly"),
        (b"\0asm\x09\0\0\0", "not valid"),
    ] {
        let error = refusal(bytes);
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn compiled_code_is_not_accepted_as_a_module() {
    let compiled = sandbox().compile(&wat(GOOD)).unwrap();
    assert!(refusal(&compiled).contains("native code"));
    let code = compiled.windows(4).position(|bytes| bytes == b"\x7fELF").expect("ELF inside");
    assert!(refusal(&compiled[code..]).contains("native code"));
}

#[test]
fn a_module_of_the_wrong_shape_is_told_what_is_missing() {
    let memory = r#"(memory (export "memory") 1)"#;
    let start = r#"(func (export "_start"))"#;
    for (text, says) in [
        (format!("(module {memory})"), "has no `_start`"),
        (format!(r#"(module {memory} (func (export "_start") (param i32)))"#), "without parameters"),
        (format!(r#"(module {memory} (func (export "_start") (result i32) i32.const 0))"#), "without parameters"),
        (format!(r#"(module {memory} (global (export "_start") i32 i32.const 0))"#), "is not a function"),
        (format!("(module (memory 1) {start})"), "does not export its memory"),
        (format!("(module {start})"), "does not export its memory"),
        (format!(r#"(module {start} (global (export "memory") i32 i32.const 0))"#), "is not a memory"),
        (format!(r#"(module (import "env" "memory" (memory 1)) {start})"#), "imports its memory"),
        (format!(r#"(module (import "env" "a" (func)) (import "x" "b" (func)) {memory} {start})"#), "`env.a`, `x.b`"),
        (format!(r#"(module (import "env" "a" (func)) {memory} {start})"#), "allowed are the functions of"),
        (format!(r#"(module (import "afresh_v1" "a" (func)) {memory} {start})"#), "`afresh_v1.a`"),
        (format!(r#"(module (import "afresh_v2" "log" (func)) {memory} {start})"#), "ABI `afresh_v2`"),
        (format!(r#"(module (import "afresh_v1" "log" (func)) {memory} {start})"#), "another signature"),
        (format!(r#"(module (import "wasi_unstable" "fd_write" (func)) {memory} {start})"#), "before preview 1"),
        (format!(r#"(module (memory 1) {memory} {start})"#), "2 memories, the limit is 1"),
        (format!(r#"(module (memory (export "memory") i64 1) {start})"#), "not valid here"),
        (format!(r#"(module (memory (export "memory") 1 1 shared) {start})"#), "not valid here"),
        (format!("(module {memory} {start} (table 10000000 funcref))"), "10000000 elements in a table"),
        (format!("(module {memory} {start} (type (struct)))"), "not valid here"),
        (format!("(module {memory} {start} (tag))"), "not valid here"),
        (format!(r#"(module {memory} {start} (@custom "afresh.tasks" "{{}}"))"#), "missing field `task`"),
    ] {
        let error = refusal(&wat(&text));
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn counts_and_names_are_bounded() {
    let many = |item: &str, count: usize| {
        format!(r#"(module (memory (export "memory") 1) (func $f (export "_start")) {})"#, item.repeat(count))
    };
    for (item, says) in [
        ("(global i32 (i32.const 0))", "globals"),
        (r#"(data (i32.const 0) "")"#, "data segments"),
        ("(elem func $f)", "element segments"),
    ] {
        let error = refusal(&wat(&many(item, 30_000)));
        assert!(error.contains("too large") && error.contains(says), "{error:?}");
    }
    let locals = "i32 ".repeat(20_001);
    let values = "i32 ".repeat(1_000);
    for (item, count, says) in [
        (format!("(func (local {locals}))"), 1, "20001 locals in a function, the limit is 20000"),
        (format!("(func (local {}))", "f32 ".repeat(20_000)), 251, "5020000 locals in all functions"),
        (format!("(type (func (param {values})))"), 501, "501000 parameters and results in its types"),
        (format!("(func {})", "nop ".repeat(2 << 20)), 1, "2097154 bytes in a function, the limit is 2097152"),
        (r#"(@custom "a" "")"#.to_owned(), 1_001, "1001 custom sections, the limit is 1000"),
    ] {
        let error = refusal(&wat(&many(&item, count)));
        assert!(error.contains("too large") && error.contains(says), "{error:?} does not say {says:?}");
    }
    let long = "n".repeat(90_000);
    let imports: String = (0..500).map(|n| format!(r#"(import "{long}" "f{n}" (func))"#)).collect();
    let error = refusal(&wat(&format!("(module {imports})")));
    assert!(error.contains("and 490 more"), "{error:?}");
}

#[test]
fn a_minimum_above_the_hosts_cap_is_refused_at_load() {
    let sandbox = Sandbox::new(&SandboxConfig { max_memory: 1 << 20, ..SandboxConfig::default() }).unwrap();
    let wasm = wat(r#"(module (memory (export "memory") 17) (func (export "_start")))"#);
    let error = sandbox.load(&wasm).err().expect("refused").to_string();
    assert!(error.contains("starts with 1114112 bytes of memory, this host gives at most 1048576"), "{error}");
}

#[test]
fn a_module_says_what_it_is() {
    let sdk = wat(r#"(module
        (import "afresh_v1" "payload_len" (func (result i32)))
        (memory (export "memory") 2)
        (func (export "_start"))
        (@custom "afresh.tasks" "{\"task\":\"a\",\"fuel\":9}\n{\"task\":\"b\"}\n"))"#);
    let info = check(&sdk).unwrap();
    assert_eq!((info.kind, info.size, info.initial_memory), (ModuleKind::Sdk, sdk.len(), 128 << 10));
    assert_eq!(info.tasks.iter().map(|task| task.task.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        (info.imports, info.exports),
        (vec!["afresh_v1.payload_len".into()], vec!["memory".into(), "_start".into()])
    );
    assert!(info.digest.starts_with("sha256:") && info.digest.len() == 71);
    let plain = check(&wat(GOOD)).unwrap();
    assert_eq!((plain.kind, plain.tasks), (ModuleKind::Command, vec![]));
}

#[test]
#[expect(unsafe_code, reason = "the compiled code comes from the line above")]
fn compiled_code_runs_like_the_module_and_belongs_to_it_alone() {
    let wasm = wat(include_str!("../../../../tests/guests/plain/output_exact.wat"));
    let compiled = sandbox().compile(&wasm).unwrap();
    // SAFETY: it is what `compile` answered, here and in the following calls, or bytes that are refused by their header.
    let load = |wasm: &[u8], compiled: &[u8]| unsafe { sandbox().load_compiled(check(wasm)?, compiled) };
    let report = run(&load(&wasm, &compiled).unwrap());
    assert!(matches!(&report.outcome, Outcome::Succeeded(reply) if reply == b"0123456789abcdef"), "{report:?}");
    for (wasm, compiled, says) in [
        (wat(GOOD), &compiled[..], "belongs to another module"),
        (wasm.clone(), &compiled[..20], "cut off"),
        (wasm.clone(), b"\x7fELF", "not made by this version"),
    ] {
        let error = load(&wasm, compiled).err().expect("refused").to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
    let metered = sandbox().compile_metered(&wasm).unwrap();
    assert!(load(&wasm, &metered).unwrap().is_metered());
}

#[test]
fn a_fuel_limit_needs_a_module_that_counts_fuel() {
    let module = sandbox().load(&wat(GOOD)).unwrap();
    let limits = Limits { fuel: Some(1000), ..Limits::default() };
    let error = sandbox().run(&module, Call::default(), &limits, &Cancel::new()).expect_err("it cannot count");
    assert!(matches!(error, SandboxError::NotMetered));
}

#[test]
fn a_trap_under_names_of_megabytes_stays_bounded() {
    // Written by hand: the text format would hold the name several times.
    let name = "n".repeat(9 << 20);
    let mut wasm = wat(r#"(module (memory (export "memory") 1)
        (func (param i32) (if (local.get 0) (then (call 0 (i32.sub (local.get 0) (i32.const 1))))) unreachable)
        (func (export "_start") (call 0 (i32.const 100))))"#);
    let mut names = vec![1, 0]; // one name, of function 0
    leb(&mut names, name.len());
    names.extend_from_slice(name.as_bytes());
    let mut section = vec![4];
    section.extend_from_slice(b"name");
    section.push(1); // function names
    leb(&mut section, names.len());
    section.extend_from_slice(&names);
    wasm.push(0);
    leb(&mut wasm, section.len());
    wasm.extend_from_slice(&section);
    let report = run(&sandbox().load(&wasm).unwrap());
    let error = report.outcome.error().expect("it traps");
    assert!(error.message.len() < 200 && error.message.contains("unreachable"), "{} bytes", error.message.len());
}

/// A group of imports counts as one for who reads it by a newer grammar, and may hold millions.
#[test]
fn imports_in_groups_are_not_read_at_all() {
    let section = |id: u8, content: &[&[u8]]| {
        let (content, mut section) = (content.concat(), vec![id]);
        leb(&mut section, content.len());
        section.extend_from_slice(&content);
        section
    };
    let mut count = Vec::new();
    leb(&mut count, 10_000);
    let group = [b"\x01\x09afresh_v1\0\x7e\0\0".as_slice(), &count, &b"\x03log".repeat(10_000)];
    let wasm = [b"\0asm\x01\0\0\0".to_vec(), section(1, &[b"\x01\x60\x03\x7f\x7f\x7f\0"]), section(2, &group)].concat();
    for error in [refusal(&wasm), afresh_sandbox::survey(&wasm).unwrap_err().to_string()] {
        assert!(error.contains("not valid here"), "{error}");
    }
}

/// Appends a number as WebAssembly writes them.
fn leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
