//! The compiled task on sizes that nobody chose: it runs out of memory, or it fails, and nothing else.

use afresh_fuzz::{Flaw, guest};

#[test]
fn the_worst_it_does_is_to_want_more_memory_than_it_has() {
    guest(env!("CARGO_MANIFEST_DIR"))
        .memory("8MiB")
        .seeds([r#"{"bytes": 1000, "text": true}"#])
        .allow(Flaw::OutOfMemory)
        .bytes();
}

#[test]
#[should_panic(expected = "out_of_memory: asked for ")]
fn that_it_does_is_found() {
    // What an earlier run found would be found without looking.
    let findings = concat!(env!("CARGO_TARGET_TMPDIR"), "/memory-bomb");
    let _ = std::fs::remove_dir_all(findings);
    // One more digit is too much.
    let seeds = [r#"{"bytes": 4000000}"#];
    guest(env!("CARGO_MANIFEST_DIR")).memory("8MiB").findings_in(findings).seeds(seeds).runs(20_000).bytes();
}
