//! Batches: jobs, chains and other batches that are accepted together, and a callback, which is enqueued when all of them
//! have ended, in whichever way, and gets the counts.

use std::collections::HashSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::chain::{self, Link};
use crate::flow::Ending;
use crate::job::{JobId, NewJob};

/// The most jobs a batch may have, those of nested batches counted: they are accepted in one step.
pub const MAX_MEMBERS: usize = 10_000;

/// How deep batches may stand in each other.
pub const MAX_DEPTH: usize = 8;

/// Jobs that belong together, all in one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id, of the letters of a job's; the same id twice in one queue is one batch.
    pub id: JobId,
    /// The queue of all its jobs.
    pub queue: String,
    /// What it consists of.
    pub jobs: Vec<Member>,
    /// The callback: enqueued when all members have ended, with their counts and its own payload as its payload.
    pub then: Option<NewJob>,
}

/// A part of a batch, which counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A job, or the first of a chain.
    Job(NewJob),
    /// A batch of its own.
    Batch(Batch),
}

impl Batch {
    /// Checks that any broker can accept it, with payloads of at most `max_payload` bytes.
    ///
    /// # Errors
    /// A sentence that names what is wrong and what is allowed.
    pub fn validate(&self, max_payload: usize) -> Result<(), String> {
        let jobs = self.members().len();
        if jobs > MAX_MEMBERS {
            return Err(format!(
                "batch {}: it has {jobs} jobs, at most {MAX_MEMBERS} may be in one: make several of it",
                self.id
            ));
        }
        let mut seen = Seen::default();
        self.check(1, max_payload, &mut seen)
    }

    fn check<'a>(&'a self, depth: usize, max_payload: usize, seen: &mut Seen<'a>) -> Result<(), String> {
        let wrong = |reason: String| Err(format!("batch {}: {reason}", self.id));
        if depth > MAX_DEPTH {
            return wrong(format!("batches stand more than {MAX_DEPTH} deep in each other"));
        }
        if !seen.batches.insert(&self.id) {
            return wrong("it stands twice: give each batch an id of its own".to_owned());
        }
        if self.jobs.is_empty() {
            return wrong("it has no jobs: give it at least one".to_owned());
        }
        for member in &self.jobs {
            match member {
                Member::Batch(nested) => {
                    self.check_queue("the batch", &nested.id, &nested.queue)?;
                    nested.check(depth + 1, max_payload, seen)?;
                }
                Member::Job(job) => self.check_job(job, max_payload, seen)?,
            }
        }
        let Some(callback) = &self.then else { return Ok(()) };
        self.check_job(callback, max_payload, seen)?;
        if callback.run_at.is_some() || callback.expires_at.is_some() || callback.unique.is_some() {
            return wrong(format!(
                "its callback {} runs when the batch has ended: it takes no time, no expiry and no unique key",
                callback.id
            ));
        }
        Ok(())
    }

    fn check_job<'a>(&self, job: &'a NewJob, max_payload: usize, seen: &mut Seen<'a>) -> Result<(), String> {
        job.validate(max_payload)?;
        self.check_queue("the job", &job.id, &job.queue)?;
        for id in std::iter::once(&job.id).chain(job.then.iter().map(|link| &link.id)) {
            if !seen.jobs.insert(id) {
                return Err(format!(
                    "batch {}: the job {id} stands twice in it: give each job an id of its own",
                    self.id
                ));
            }
        }
        Ok(())
    }

    fn check_queue(&self, what: &str, id: &JobId, queue: &str) -> Result<(), String> {
        if queue == self.queue {
            return Ok(());
        }
        Err(format!(
            "batch {}: {what} {id} is for the queue {queue}, and all of a batch is in one queue, which is {}",
            self.id, self.queue
        ))
    }

    /// This batch and all that stand in it, each with its parent, parents first.
    pub(crate) fn tree(&self) -> Vec<(&Self, Option<&Self>)> {
        let mut tree = vec![(self, None)];
        let mut next = 0;
        while let Some(&(batch, _)) = tree.get(next) {
            tree.extend(batch.nested().map(|nested| (nested, Some(batch))));
            next += 1;
        }
        tree
    }

    /// The batches that stand right in this one.
    pub(crate) fn nested(&self) -> impl Iterator<Item = &Self> {
        self.jobs.iter().filter_map(|member| match member {
            Member::Batch(nested) => Some(nested),
            Member::Job(_) => None,
        })
    }

    /// Its jobs, and those of all that stand in it, in the order in which they were written, each with its batch.
    pub(crate) fn members(&self) -> Vec<(&Self, &NewJob)> {
        let mut members = Vec::new();
        for member in &self.jobs {
            match member {
                Member::Job(job) => members.push((self, job)),
                Member::Batch(nested) => members.extend(nested.members()),
            }
        }
        members
    }

    /// The ids that must be free besides its members': of what is to follow them, and of callbacks.
    pub(crate) fn ids_to_come(&self) -> Vec<&JobId> {
        let callbacks = self.tree().into_iter().filter_map(|(batch, _)| batch.then.as_ref()).collect::<Vec<_>>();
        let members = self.members();
        let chains = members.iter().map(|(_, job)| *job).chain(callbacks.iter().copied());
        let follow = chains.flat_map(|job| job.then.iter().map(|link| &link.id));
        callbacks.iter().map(|job| &job.id).chain(follow).collect()
    }

    /// The callback and what is to follow it, as brokers store a chain; empty without one.
    pub(crate) fn callback(&self) -> String {
        let Some(job) = &self.then else { return String::new() };
        let first = Link { key: job.key.clone(), options: job.options.clone(), ..Link::new(job.id.clone(), &job.task) };
        let chain: Vec<_> = std::iter::once(first).chain(job.then.iter().cloned()).collect();
        chain::encode(&chain)
    }

    /// The end of the callback's payload, after the counts: what the callback itself was given.
    pub(crate) fn callback_tail(&self) -> String {
        let payload = self.then.as_ref().map(|job| job.payload.as_slice()).unwrap_or_default();
        let (name, text) = match std::str::from_utf8(payload) {
            Ok(text) => ("payload", text.to_owned()),
            Err(_) => ("payload_base64", BASE64_STANDARD.encode(payload)),
        };
        format!(r#""{name}":{}}}"#, serde_json::Value::from(text))
    }
}

/// The payload of a batch's callback. `flow.lua` writes the same.
pub(crate) fn callback_payload(batch: &str, total: i64, counts: [(Ending, i64); 5], tail: &str) -> Vec<u8> {
    let counts: String = counts.iter().map(|(ending, count)| format!(r#""{}":{count},"#, ending.as_str())).collect();
    format!(r#"{{"batch":"{batch}","total":{total},{counts}{tail}"#).into_bytes()
}

/// The ids that stand in a batch.
#[derive(Default)]
struct Seen<'a> {
    batches: HashSet<&'a JobId>,
    jobs: HashSet<&'a JobId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::PAYLOAD_CEILING;

    fn job(id: &str) -> NewJob {
        NewJob::new("t", "").id(id.parse().unwrap())
    }

    fn batch(id: &str, jobs: Vec<Member>) -> Batch {
        Batch { id: id.parse().unwrap(), queue: "default".into(), jobs, then: None }
    }

    fn nested(depth: usize) -> Batch {
        let inner = if depth == 1 { Member::Job(job("j")) } else { Member::Batch(nested(depth - 1)) };
        batch(&format!("b{depth}"), vec![inner])
    }

    #[test]
    fn a_batch_that_cannot_be_is_refused_with_a_sentence() {
        let one = |id| batch("b", vec![Member::Job(job(id))]);
        let follows = |id: &str| vec![Link::new(id.parse().unwrap(), "t")];
        let elsewhere = Batch { queue: "mail".into(), ..batch("c", vec![Member::Job(job("a"))]) };
        let many = (0..=MAX_MEMBERS).map(|n| Member::Job(job(&format!("j{n}")))).collect();
        for (wrong, reason) in [
            (batch("b", vec![]), "batch b: it has no jobs"),
            (batch("b", many), "it has 10001 jobs, at most 10000"),
            (nested(9), "batch b1: batches stand more than 8 deep in each other"),
            (batch("b", vec![Member::Batch(one("a"))]), "batch b: it stands twice"),
            (batch("b", vec![Member::Job(job("a")), Member::Job(job("a"))]), "the job a stands twice in it"),
            (Batch { then: Some(job("a")), ..one("a") }, "the job a stands twice in it"),
            (Batch { then: Some(job("c").then(follows("a"))), ..one("a") }, "the job a stands twice in it"),
            (batch("b", vec![Member::Job(job("a").then(follows("a")))]), "the job a comes after itself"),
            (batch("b", vec![Member::Batch(elsewhere)]), "the batch c is for the queue mail, and all of a batch is in"),
            (Batch { then: Some(job("c").queue("mail")), ..one("a") }, "the job c is for the queue mail"),
            (
                Batch { then: Some(job("c").run_at(crate::Timestamp(1))), ..one("a") },
                "its callback c runs when the batch has ended",
            ),
        ] {
            let error = wrong.validate(PAYLOAD_CEILING).unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
        }
        assert_eq!(nested(8).validate(PAYLOAD_CEILING), Ok(()));
    }

    #[test]
    fn a_callbacks_payload_is_json_whatever_it_was_given() {
        let counts = [Ending::Succeeded, Ending::Dead, Ending::Cancelled, Ending::Expired, Ending::Removed];
        let with = |payload: &[u8]| {
            let callback = NewJob { payload: payload.to_vec(), ..job("c") };
            let tail = Batch { then: Some(callback), ..batch("b", vec![]) }.callback_tail();
            let payload = callback_payload("b", 5, counts.map(|ending| (ending, 1)), &tail);
            serde_json::from_slice::<serde_json::Value>(&payload).unwrap()
        };
        let text = with("{\"a\":\"é\n\"}".as_bytes());
        assert_eq!((&text["total"], &text["removed"]), (&5.into(), &1.into()));
        assert_eq!(text["payload"], "{\"a\":\"é\n\"}");
        assert_eq!(with(b"\x00\xff")["payload_base64"], "AP8=");
    }
}
