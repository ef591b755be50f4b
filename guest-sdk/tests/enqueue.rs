//! A task that enqueues further jobs, run natively as a host runs it.

use std::collections::HashMap;
use std::time::Duration;

use afresh::{Context, NewJob, Refusal, TaskError, Verdict, task};

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Resize {
    image: String,
    width: u32,
}

/// Enqueues one job for each image, and fails at an image without a name.
#[task]
fn gallery(images: Vec<String>, ctx: &Context) -> Result<usize, TaskError> {
    let count = images.len();
    for image in images {
        if image.is_empty() {
            return Err(TaskError::retry("an image without a name"));
        }
        ctx.info(format_args!("{} enqueues {image}", ctx.task()));
        ctx.enqueue(NewJob::new("resize", &Resize { image, width: 100 })?)?;
    }
    Ok(count)
}

/// Asks for everything there is.
#[task]
fn everything(ctx: &Context) -> Result<String, TaskError> {
    let job = NewJob::raw("resize", b"\xff\0")
        .queue("slow")
        .id("resize:7")
        .delay(Duration::from_micros(1_500))
        .priority(-3)
        .max_attempts(5)
        .min_backoff(Duration::from_secs(1))
        .max_backoff(Duration::from_secs(60))
        .timeout(Duration::MAX)
        .memory(64 << 20)
        .key("customer:42")
        .expires_in(Duration::from_secs(3600));
    ctx.enqueue(job)
}

/// Can do without.
#[task]
fn modest(ctx: &Context) -> &'static str {
    match ctx.enqueue(NewJob::raw("resize", "")) {
        Ok(_) => "enqueued",
        Err(_) => "did without",
    }
}

fn ids(ctx: &afresh::TestContext) -> Vec<String> {
    ctx.enqueued().into_iter().map(|job| job.id).collect()
}

#[test]
fn a_test_sees_what_a_task_enqueued_and_can_read_it() {
    let ctx = Context::test().with_job_id("gallery-7");
    assert_eq!(ctx.run::<gallery>(r#"["a.png","b.png"]"#).unwrap(), b"2");
    assert_eq!(ids(&ctx), ["gallery-7.1", "gallery-7.2"]);
    let job = &ctx.enqueued()[1];
    assert_eq!((job.task.as_str(), job.queue.as_str(), job.delay), ("resize", "default", Duration::ZERO));
    assert_eq!(job.bytes, br#"{"image":"b.png","width":100}"#);
    assert_eq!(job.payload::<Resize>().unwrap(), Resize { image: "b.png".into(), width: 100 });
    assert_eq!(job.payload::<u8>().unwrap_err().verdict(), Verdict::BadPayload);
    assert_eq!(ctx.logs()[0], "info: gallery enqueues a.png");
}

#[test]
fn all_that_a_job_asks_for_arrives() {
    let ctx = Context::test();
    assert_eq!(ctx.run::<everything>("").unwrap(), b"\"resize:7\"");
    let job = &ctx.enqueued()[0];
    assert_eq!((job.id.as_str(), job.queue.as_str(), job.bytes.as_slice()), ("resize:7", "slow", &b"\xff\0"[..]));
    assert_eq!(
        (job.delay, job.priority, job.max_attempts),
        (Duration::from_millis(2), -3, Some(5)),
        "2 ms: rounded up"
    );
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!((job.min_backoff, job.max_backoff, job.expires_in), (seconds(1), seconds(60), seconds(3600)));
    assert_eq!(job.timeout, Some(Duration::from_millis(u64::MAX)), "as long as can be said");
    assert_eq!((job.memory, job.key.as_deref()), (Some(64 << 20), Some("customer:42")));
}

#[test]
fn an_attempt_that_fails_enqueues_nothing_and_the_next_uses_the_same_ids() {
    let ctx = Context::test().with_max_attempts(2);
    let error = ctx.run::<gallery>(r#"["a.png","b.png",""]"#).unwrap_err();
    assert_eq!((error.verdict(), ctx.logs().len(), ids(&ctx)), (Verdict::Failed, 2, vec![]));
    let ctx = ctx.with_attempt(2);
    for round in ["first", "again"] {
        ctx.run::<gallery>(r#"["a.png","b.png"]"#).unwrap();
        assert_eq!((ctx.logs().len(), ids(&ctx).join(" ").as_str()), (2, "test.1 test.2"), "{round}");
    }
}

#[test]
fn a_host_that_has_not_allowed_it_rejects_the_job_with_what_to_do() {
    for (refusal, says) in [
        (
            Refusal::NotAllowed,
            "allow it with `[tasks.gallery] enqueue = [\"default\"]` in the worker's afresh.toml, then retry this job",
        ),
        (Refusal::OverLimit, "with 29 bytes of payload, after 0 other jobs of this attempt; enqueue fewer"),
        (Refusal::NotAJob, "does not take it for a job"),
    ] {
        let ctx = Context::test().with_enqueue_refused(refusal);
        let error = ctx.run::<gallery>(r#"["a.png"]"#).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Rejected);
        let text = error.to_string();
        assert!(text.starts_with("the job for `resize` was not enqueued: ") && text.contains(says), "{text}");
        assert_eq!(ctx.run::<modest>("").unwrap(), b"\"did without\"");
    }
}

#[test]
fn a_job_over_the_limit_is_refused_and_takes_no_number() {
    let ctx = Context::test().with_enqueue_limit(2);
    for id in ["test.1", "test.2"] {
        assert_eq!(ctx.enqueue(NewJob::raw("a", "")).unwrap(), id);
    }
    let error = ctx.enqueue(NewJob::raw("a", "")).unwrap_err();
    assert!(error.to_string().contains("after 2 other jobs"), "{error}");
    let ctx = ctx.with_enqueue_limit(3);
    assert_eq!(ctx.enqueue(NewJob::raw("a", "")).unwrap(), "test.3");
}

#[test]
fn a_payload_that_is_no_json_is_rejected_before_it_is_a_job() {
    let error = NewJob::new("resize", &HashMap::from([((1, 2), 3)])).unwrap_err();
    assert!(error.is_rejected() && error.to_string().contains("the payload for `resize` cannot"), "{error}");
}
