//! Fuzzes a compiled guest: runs a task on one payload after another, in the sandbox that a worker uses, and looks for
//! those that make it trap, panic, run into a wall, or answer twice in two ways. For the author of a task, from an
//! ordinary `cargo test`; `afresh fuzz` is the same engine on the command line.
//!
//! ```no_run
//! // tests/fuzz.rs of a task's crate
//! #[test]
//! # fn hidden() {}
//! fn no_payload_breaks_it() {
//!     afresh_fuzz::guest(env!("CARGO_MANIFEST_DIR")) // builds the crate's module, once for all tests
//!         .seeds([r#"{"width": 80, "image": "a.png"}"#])
//!         .runs(2_000)
//!         .bytes(); // mutated bytes; panics with the smallest payload that it found
//! }
//! # no_payload_breaks_it();
//! ```
//!
//! A module of any language will do. A test runs the same way each time until it is told another seed, except for a guest
//! that asks for randomness or the time:
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let module = folder.path().join("divide.wasm");
//! std::fs::write(&module, wat::parse_str(r#"(module
//!     (import "afresh_v1" "payload_len" (func $len (result i32)))
//!     (memory (export "memory") 1)
//!     (func (export "_start") (drop (i32.div_u (i32.const 1) (call $len)))))"#)?)?;
//!
//! let divide = || afresh_fuzz::Guest::module(&module).findings_in(folder.path().join("findings")).runs(100);
//! let told = std::panic::catch_unwind(|| divide().bytes()).unwrap_err();
//! assert!(told.downcast_ref::<String>().unwrap().contains("divided an integer by zero"));
//!
//! // What a test holds to be the task's right is no finding.
//! std::fs::remove_dir_all(folder.path().join("findings"))?;
//! divide().allow(afresh_fuzz::Flaw::Trapped).bytes();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a test uses:
//! * [`guest()`], [`Guest`]: which module, which task, under which limits; then [`Guest::bytes`], `json`, `payloads` or
//!   `arbitrary`
//! * [`Flaw`]: what counts as a finding
//!
//! What a program uses that fuzzes:
//! * [`subject`]: a task that is run on payloads
//! * [`oracle`]: what is wrong with an outcome
//! * [`engine`]: the loop; [`finding`]: what it found
//! * [`folder`]: payloads in files; [`again`]: the command that runs one again
//!
//! How it works, in the order of one round:
//! * `corpus`: the payloads worth changing; *how much fuel* a payload made the guest use, and what it said, is taken for
//!   a sign that it made it do something new
//! * `bytes`, `values`: how a payload is changed, as bytes and as JSON
//! * `dictionary`: the words of the module, which the changes are made of
//! * `minimise`: the smallest payload that does the same
//! * `show`: payloads and guest text for people

pub mod again;
mod build;
mod bytes;
mod corpus;
mod dictionary;
pub mod engine;
pub mod finding;
pub mod folder;
mod guest;
mod minimise;
pub mod oracle;
mod show;
#[cfg(feature = "proptest")]
mod strategies;
pub mod subject;
#[cfg(feature = "arbitrary")]
mod types;
mod values;

pub use afresh_protocol::{ErrorRecord, Outcome, OutcomeKind};
pub use again::Again;
pub use engine::{Fuzzer, Listener, Plan, Summary};
pub use finding::{Finding, Notable, Tally};
pub use folder::Folder;
pub use guest::{Guest, guest};
pub use oracle::{Flaw, Oracle};
pub use subject::Subject;
