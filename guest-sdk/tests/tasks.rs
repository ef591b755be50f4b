//! Every signature that a task may have, run as the host runs it: payload in, reply out.

use std::num::ParseIntError;

use afresh::__private::Declared;
use afresh::{Context, TaskError, Verdict, task};

type Bytes = Vec<u8>;
type Fallible<T> = Result<T, TaskError>;

#[task]
fn nothing() {}

#[task]
fn only_context(ctx: &Context) -> u32 {
    ctx.attempt()
}

#[task]
fn only_job(mut words: Vec<String>) -> Vec<String> {
    words.reverse();
    words
}

#[task]
fn raw(job: Bytes, ctx: &Context) -> Fallible<Bytes> {
    ctx.debug("raw");
    Ok(job)
}

#[task]
fn own_error(number: String) -> Result<i32, ParseIntError> {
    number.parse()
}

#[task(
    name = "everything-1",
    max_attempts = 5,
    timeout = "1min 30s",
    memory = "64MiB",
    fuel = 1_000_000,
    min_backoff = "250ms",
    max_backoff = "1h"
)]
fn everything() {}

#[task]
fn r#loop() {}

mod elsewhere {
    #[afresh::task]
    pub(crate) fn imported() -> &'static str {
        "here"
    }
}
use elsewhere::imported;

fn run<T: Declared>(payload: &[u8]) -> Result<String, TaskError> {
    let reply = Context::test().run::<T>(payload)?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

#[test]
fn a_task_takes_a_job_a_context_both_or_neither() {
    assert_eq!(run::<nothing>(b"whatever").unwrap(), "");
    assert_eq!(run::<only_context>(b"").unwrap(), "1");
    assert_eq!(run::<only_job>(b"[\"a\",\"b\"]").unwrap(), "[\"b\",\"a\"]");
    assert_eq!(run::<raw>(b"{not json").unwrap(), "{not json");
}

/// Tasks with the names that the macro needs for itself.
mod awkward {
    use afresh::{Context, TaskError, task};

    #[task]
    pub(crate) fn run(job: Vec<u8>, _: &Context) -> Result<Vec<u8>, TaskError> {
        Ok(job)
    }

    #[task]
    pub(crate) fn payload(job: Vec<u8>) -> Vec<u8> {
        job
    }

    #[task]
    pub(crate) fn context(ctx: &Context) -> u32 {
        ctx.attempt()
    }
}

#[test]
fn a_task_may_be_called_as_the_macro_calls_its_own() {
    assert_eq!(run::<awkward::run>(b"ran").unwrap(), "ran");
    assert_eq!(run::<awkward::payload>(b"paid").unwrap(), "paid");
    assert_eq!(run::<awkward::context>(b"").unwrap(), "1");
}

#[test]
fn a_task_that_is_run_sees_the_attempt_it_is_run_as() {
    #[task]
    fn tell(ctx: &Context) -> (String, String, String, u32, u32) {
        (ctx.task().into(), ctx.job_id().into(), ctx.queue().into(), ctx.attempt(), ctx.max_attempts())
    }
    let ctx = Context::test().with_job_id("a").with_queue("slow").with_attempt(2).with_max_attempts(5);
    assert_eq!(ctx.run::<tell>("").unwrap(), br#"["tell","a","slow",2,5]"#);
}

#[test]
fn a_payload_that_is_not_what_the_task_expects_is_rejected_as_by_a_host() {
    let error = run::<only_job>(b"[1]").unwrap_err();
    assert_eq!(error.verdict(), Verdict::BadPayload);
    assert!(error.is_rejected() && error.to_string().contains("expected a string"), "{error}");
}

#[test]
fn an_error_of_the_task_s_own_is_a_retry() {
    assert_eq!(run::<own_error>(b"\"7\"").unwrap(), "7");
    let error = run::<own_error>(b"\"seven\"").unwrap_err();
    assert_eq!((error.verdict(), error.to_string().as_str()), (Verdict::Failed, "invalid digit found in string"));
}

#[test]
fn the_function_is_found_where_it_is_imported_and_stays_callable() {
    assert_eq!(run::<imported>(b"").unwrap(), "\"here\"");
    assert_eq!(imported(), "here");
}

#[test]
fn the_policy_is_a_line_of_the_tasks_section() {
    assert_eq!(<nothing as Declared>::TASK.policy, "{\"task\":\"nothing\"}\n");
    assert_eq!(<r#loop as Declared>::TASK.policy, "{\"task\":\"loop\"}\n");
    assert_eq!(
        <everything as Declared>::TASK.policy,
        "{\"task\":\"everything-1\",\"max_attempts\":5,\"timeout_ms\":90000,\"memory\":67108864,\"fuel\":1000000,\
         \"min_backoff_ms\":250,\"max_backoff_ms\":3600000}\n"
    );
}
