//! What is no task is refused while compiling, at the place where it is written, in a sentence that says what to do.
//!
//! After a change of a sentence, `TRYBUILD=overwrite cargo test -p afresh --test compile_errors` writes it down.

#[test]
fn compile_errors_point_at_the_user_s_code() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
