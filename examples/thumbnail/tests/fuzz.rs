//! The compiled task on files that are almost pictures: a thumbnail, or a sentence that says why not.

use afresh_fuzz::guest;

#[test]
fn no_file_breaks_it() {
    // Small pictures, since each attempt decodes one.
    guest(env!("CARGO_MANIFEST_DIR")).seeds_in("tests/seeds").bytes();
}
