//! What a module may import: names and core signatures. Known without an engine, so that a module can be checked
//! before anything is compiled; a test holds these tables and the linker together.

use afresh_protocol::abi;
use wasmparser::{FuncType, ValType};

/// The signature of an allowed import as `params:results`, one letter a value (`i` i32, `I` i64, `f` f32, `F` f64);
/// `None` where nothing of that name may be imported.
pub(crate) fn signature(module: &str, name: &str) -> Option<&'static str> {
    let table = match module {
        abi::NAMESPACE => AFRESH,
        abi::WASI_NAMESPACE => WASI,
        _ => return None,
    };
    table.iter().find(|(known, _)| *known == name).map(|(_, signature)| *signature)
}

/// The signature of a function type in the same letters.
pub(crate) fn letters(ty: &FuncType) -> String {
    let letter = |ty: &ValType| match ty {
        ValType::I32 => 'i',
        ValType::I64 => 'I',
        ValType::F32 => 'f',
        ValType::F64 => 'F',
        ValType::V128 => 'v',
        ValType::Ref(_) => 'r',
    };
    let params: String = ty.params().iter().map(letter).collect();
    let results: String = ty.results().iter().map(letter).collect();
    format!("{params}:{results}")
}

/// A sentence's worth of what is allowed.
pub(crate) fn allowed() -> String {
    let ours: Vec<_> = AFRESH.iter().map(|(name, _)| *name).collect();
    format!("the functions of `{}` and `{}` ({})", abi::WASI_NAMESPACE, abi::NAMESPACE, ours.join(", "))
}

/// [`abi::NAMESPACE`].
pub(crate) const AFRESH: &[(&str, &str)] = &[
    ("payload_len", ":i"),
    ("payload_read", "iii:i"),
    ("reply_write", "ii:"),
    ("error_write", "ii:"),
    ("verdict", "iI:"),
    ("log", "iii:"),
    ("progress", "F:"),
    ("deadline_left_us", ":I"),
    ("enqueue", "iiii:i"),
];

/// [`abi::WASI_NAMESPACE`]: preview 1, whole.
pub(crate) const WASI: &[(&str, &str)] = &[
    ("args_get", "ii:i"),
    ("args_sizes_get", "ii:i"),
    ("clock_res_get", "ii:i"),
    ("clock_time_get", "iIi:i"),
    ("environ_get", "ii:i"),
    ("environ_sizes_get", "ii:i"),
    ("fd_advise", "iIIi:i"),
    ("fd_allocate", "iII:i"),
    ("fd_close", "i:i"),
    ("fd_datasync", "i:i"),
    ("fd_fdstat_get", "ii:i"),
    ("fd_fdstat_set_flags", "ii:i"),
    ("fd_fdstat_set_rights", "iII:i"),
    ("fd_filestat_get", "ii:i"),
    ("fd_filestat_set_size", "iI:i"),
    ("fd_filestat_set_times", "iIIi:i"),
    ("fd_pread", "iiiIi:i"),
    ("fd_prestat_dir_name", "iii:i"),
    ("fd_prestat_get", "ii:i"),
    ("fd_pwrite", "iiiIi:i"),
    ("fd_read", "iiii:i"),
    ("fd_readdir", "iiiIi:i"),
    ("fd_renumber", "ii:i"),
    ("fd_seek", "iIii:i"),
    ("fd_sync", "i:i"),
    ("fd_tell", "ii:i"),
    ("fd_write", "iiii:i"),
    ("path_create_directory", "iii:i"),
    ("path_filestat_get", "iiiii:i"),
    ("path_filestat_set_times", "iiiiIIi:i"),
    ("path_link", "iiiiiii:i"),
    ("path_open", "iiiiiIIii:i"),
    ("path_readlink", "iiiiii:i"),
    ("path_remove_directory", "iii:i"),
    ("path_rename", "iiiiii:i"),
    ("path_symlink", "iiiii:i"),
    ("path_unlink_file", "iii:i"),
    ("poll_oneoff", "iiii:i"),
    ("proc_exit", "i:"),
    ("proc_raise", "i:i"),
    ("random_get", "ii:i"),
    ("sched_yield", ":i"),
    ("sock_accept", "iii:i"),
    ("sock_recv", "iiiiii:i"),
    ("sock_send", "iiiii:i"),
    ("sock_shutdown", "ii:i"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use wasmtime::{ExternType, Store, ValType};

    use super::*;
    use crate::engine::{Core, Metering};
    use crate::state::State;
    use crate::{Call, Cancel, InUse, Limits, ModuleKind, Sandbox, SandboxConfig};

    #[test]
    fn the_tables_and_the_linker_agree() {
        let core = Core::new(&SandboxConfig::default(), Metering::Off).unwrap();
        let state = State::new(ModuleKind::Sdk, Call::default(), &Limits::default(), &Cancel::new()).unwrap();
        let mut store = Store::new(&core.engine, state);
        let externs: Vec<_> = core.linker.iter(&mut store).map(|(m, n, e)| (m.to_owned(), n.to_owned(), e)).collect();
        let linked: BTreeSet<_> = externs
            .into_iter()
            .map(|(module, name, external)| match external.ty(&store) {
                ExternType::Func(ty) => {
                    let letters = |types: Vec<ValType>| types.iter().map(letter).collect::<String>();
                    (module, name, format!("{}:{}", letters(ty.params().collect()), letters(ty.results().collect())))
                }
                other => panic!("{module}.{name} is {other:?}"),
            })
            .collect();
        let listed = |module: &str, table: &[(&str, &str)]| {
            let own =
                |(name, signature): &(&str, &str)| (module.to_owned(), (*name).to_owned(), (*signature).to_owned());
            table.iter().map(own).collect::<BTreeSet<_>>()
        };
        assert_eq!(linked, &listed(abi::NAMESPACE, AFRESH) | &listed(abi::WASI_NAMESPACE, WASI));
    }

    #[test]
    fn our_table_is_the_protocols() {
        let names = |table: &[(&'static str, &'static str)]| table.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(AFRESH), names(abi::FUNCTIONS));
    }

    /// Numbers at which something ends: the memory of one page, what is reserved for it, and what numbers can be.
    const EDGES: [u32; 9] = [0, 1, 65_528, 65_535, 65_536, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

    #[test]
    fn every_function_can_be_called_with_anything() {
        let sandbox = Sandbox::new(&SandboxConfig { slots: 1, ..SandboxConfig::default() }).unwrap();
        let limits = Limits { timeout: Duration::from_millis(20), ..Limits::default() };
        let mut calls = 0;
        for (namespace, table) in [(abi::NAMESPACE, AFRESH), (abi::WASI_NAMESPACE, WASI)] {
            for (name, signature) in table {
                for (first, step) in (0..EDGES.len()).flat_map(|first| (0..5).map(move |step| (first, step))) {
                    let arguments = |n: usize| EDGES[(first + n * step) % EDGES.len()];
                    let wasm = wat::parse_str(call(namespace, name, signature, arguments)).unwrap();
                    let module = sandbox.load(&wasm).unwrap_or_else(|e| panic!("{name}: {e}"));
                    // Whatever became of it: it is the guest's, and not a fault of ours.
                    let report = sandbox.run(&module, Call::default(), &limits, &Cancel::new());
                    assert!(report.is_ok(), "{name} from edge {first} in steps of {step}: {report:?}");
                    calls += 1;
                }
            }
        }
        assert!(calls > 2_000, "only {calls} calls");
        assert_eq!(sandbox.in_use(), InUse::default());
    }

    /// A guest that makes one call.
    fn call(namespace: &str, name: &str, signature: &str, argument: impl Fn(usize) -> u32) -> String {
        let (params, results) = signature.split_once(':').unwrap();
        let name_of = |letter| match letter {
            'i' => "i32",
            'I' => "i64",
            'F' => "f64",
            other => panic!("a type {other}"),
        };
        let words = |letters: &str| letters.chars().map(name_of).collect::<Vec<_>>().join(" ");
        let values =
            params.chars().enumerate().map(|(n, letter)| format!("({}.const {})", name_of(letter), argument(n)));
        format!(
            r#"(module (import "{namespace}" "{name}" (func $f (param {}) (result {})))
            (memory (export "memory") 1)
            (func (export "_start") {} (call $f) {}))"#,
            words(params),
            words(results),
            values.collect::<String>(),
            if results.is_empty() { "" } else { "drop" },
        )
    }

    fn letter(ty: &ValType) -> char {
        match ty {
            ValType::I32 => 'i',
            ValType::I64 => 'I',
            ValType::F32 => 'f',
            ValType::F64 => 'F',
            _ => '?',
        }
    }
}
