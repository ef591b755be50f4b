//! A batch as it is written: one JSON document, read strictly. Ids that are not given are made of the batch's, so that the
//! same document with the same id is the same batch.

use std::io::Read;
use std::path::Path;

use afresh_queue::batch::MAX_DEPTH;
use afresh_queue::job::DEFAULT_QUEUE;
use afresh_queue::{Batch, JobId, Member, NewJob};
use anyhow::{Context as _, anyhow};
use serde_json::value::RawValue;

use crate::cli::enqueue::{Wishes, object, read_job};

/// The longest document that is read, in bytes.
const MOST: u64 = 256 * 1024 * 1024;

/// Reads the batch in a file, or with `-` on standard input.
///
/// # Errors
/// When it cannot be read, or describes no batch; with the place and what is wrong.
pub(super) fn read(file: &Path) -> anyhow::Result<Batch> {
    let (name, input): (String, Box<dyn Read>) = if file.as_os_str() == "-" {
        ("standard input".to_owned(), Box::new(std::io::stdin().lock()))
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("failed to open {}", file.display()))?;
        (file.display().to_string(), Box::new(opened))
    };
    let mut bytes = Vec::new();
    input.take(MOST + 1).read_to_end(&mut bytes).with_context(|| format!("failed to read {name}"))?;
    anyhow::ensure!(bytes.len() as u64 <= MOST, "{name} is longer than {MOST} bytes: make several batches of it");
    let said = |reason| anyhow!("{name}: {reason}; nothing was enqueued");
    let text = std::str::from_utf8(&bytes).map_err(|_| said("it is not UTF-8".to_owned()))?;
    parse(text, &JobId::fresh(), DEFAULT_QUEUE).map_err(said)
}

/// The batch in a text; id and queue are those where it names none.
pub(in crate::cli) fn parse(text: &str, id: &JobId, queue: &str) -> Result<Batch, String> {
    nested(text, id, queue, 1)
}

/// The same of a batch that stands so deep in others.
fn nested(text: &str, id: &JobId, queue: &str, depth: usize) -> Result<Batch, String> {
    // Not left to the check of the whole batch: of a hostile text there would never be a whole.
    if depth > MAX_DEPTH {
        return Err(format!("batches stand more than {MAX_DEPTH} deep in each other"));
    }
    let fields = object(text)?;
    let string = |name: &str| -> Result<Option<String>, String> {
        let written = fields.get(name).map(|value| serde_json::from_str(value.get()));
        written.transpose().map_err(|_| format!("`{name}` must be a string"))
    };
    if let Some(name) = fields.keys().find(|name| !["id", "queue", "jobs", "then"].contains(&name.as_str())) {
        return Err(format!("unknown field `{name}`: a batch has `id`, `queue`, `jobs` and `then`"));
    }
    let id = string("id")?.map_or_else(|| Ok(id.clone()), |id| id.parse())?;
    let queue = string("queue")?.unwrap_or_else(|| queue.to_owned());
    let jobs: Vec<&RawValue> = match fields.get("jobs").map(|written| serde_json::from_str(written.get())) {
        Some(Ok(jobs)) => jobs,
        Some(Err(_)) => return Err("`jobs` must be an array".to_owned()),
        None => return Err("it has no `jobs`".to_owned()),
    };
    let jobs = jobs.into_iter().enumerate().map(|(place, written)| {
        let place = place + 1;
        let member = made(&id, &place.to_string()).and_then(|id| member(written, id, &queue, depth));
        member.map_err(|reason| format!("member {place} of the batch {id}: {reason}"))
    });
    let jobs = jobs.collect::<Result<_, _>>()?;
    let then = fields.get("then").map(|written| {
        let callback = made(&id, "then").and_then(|id| job(written, id, &queue));
        callback.map_err(|reason| format!("`then` of the batch {id}: {reason}"))
    });
    Ok(Batch { jobs, then: then.transpose()?, id, queue })
}

/// A job, a chain, or a batch of its own, which is told by its `jobs`.
fn member(written: &RawValue, id: JobId, queue: &str, depth: usize) -> Result<Member, String> {
    if object(written.get())?.contains_key("jobs") {
        return nested(written.get(), &id, queue, depth + 1).map(Member::Batch);
    }
    job(written, id, queue).map(Member::Job)
}

fn job(written: &RawValue, id: JobId, queue: &str) -> Result<NewJob, String> {
    read_job(written, &Wishes::default().in_queue(queue).named(id))
}

/// The id of a part that is given none.
fn made(batch: &JobId, part: &str) -> Result<JobId, String> {
    format!("{batch}.{part}").parse().map_err(|reason| format!("{reason}: give the batch a shorter id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Batch, String> {
        parse(text, &"b".parse().unwrap(), "default")
    }

    #[test]
    fn ids_that_are_not_given_are_made_of_the_batchs() {
        let text = r#"{"queue":"mail","jobs":[{"task":"t","then":[{"task":"u","id":"mine"},{"task":"v","priority":3}]},
            {"jobs":[{"task":"w"}]}],"then":{"task":"done","payload":{"a":1}}}"#;
        let batch = parsed(text).unwrap();
        let Member::Job(first) = &batch.jobs[0] else { panic!("{batch:?}") };
        let follow: Vec<_> = first.then.iter().map(|link| (link.id.as_str(), link.options.priority)).collect();
        assert_eq!((first.id.as_str(), follow), ("b.1", vec![("mine", 0), ("b.1.then2", 3)]));
        let Member::Batch(nested) = &batch.jobs[1] else { panic!("{batch:?}") };
        assert_eq!((nested.id.as_str(), nested.queue.as_str()), ("b.2", "mail"));
        let callback = batch.then.as_ref().unwrap();
        assert_eq!((callback.id.as_str(), callback.payload.as_slice()), ("b.then", &br#"{"a":1}"#[..]));
        assert_eq!(batch.validate(1_000), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, reason) in [
            ("[]", "it is not a JSON object"),
            ("{}", "it has no `jobs`"),
            (r#"{"jobs":7}"#, "`jobs` must be an array"),
            (r#"{"jobs":[],"colour":1}"#, "unknown field `colour`: a batch has"),
            (r#"{"jobs":[],"id":"a b"}"#, "a job's id is"),
            (r#"{"jobs":[{"task":"t"},{}]}"#, "member 2 of the batch b: it names no `task`"),
            (r#"{"jobs":[{"jobs":[{"task":"t","colour":1}]}]}"#, "member 1 of the batch b.1: unknown field `colour`"),
            (r#"{"jobs":[{"task":"t","then":{"task":"u"}}]}"#, "`then` must be an array of jobs"),
            (
                r#"{"jobs":[{"task":"t","then":[{"task":"u","payload":1}]}]}"#,
                "job 1 of `then`: its payload is the reply",
            ),
            (r#"{"jobs":[{"task":"t","then":[{"task":"u","queue":"mail"}]}]}"#, "all of a chain is in one queue"),
            (r#"{"jobs":[{"task":"t","then":[{"task":"u","in":"1h"}]}]}"#, "takes no time, expiry, unique key"),
            (r#"{"jobs":[{"task":"t"}],"then":[]}"#, "`then` of the batch b: it is not a JSON object"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
        }
    }

    #[test]
    fn a_text_that_nests_for_ever_is_refused_before_the_stack_ends() {
        let deep = |depth| format!(r#"{}{{"task":"t"}}{}"#, r#"{"id":"b","jobs":["#.repeat(depth), "]}".repeat(depth));
        let error = parsed(&deep(20_000)).unwrap_err();
        assert!(error.ends_with("batches stand more than 8 deep in each other"), "{error}");
        assert!(parsed(&deep(MAX_DEPTH)).is_ok());
    }
}
