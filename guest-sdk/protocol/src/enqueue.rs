//! What a guest says of a job it enqueues: the `spec` of the host function `enqueue`. The names are those of the flags of
//! `afresh enqueue`; the payload travels beside it, as bytes that nobody reads.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::policy::check_name;

/// The most bytes a request may have when written.
pub const MAX_SPEC_BYTES: usize = 64 * 1024;

/// The most bytes a job's id, or a key, may have.
pub const MAX_ID_BYTES: usize = 128;

/// The priorities a job may have.
pub const PRIORITIES: RangeInclusive<i32> = -1000..=1000;

/// A job that a guest enqueues; what is absent is the task's, then the host's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The task to run.
    pub task: String,
    /// The queue it goes to; absent is `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Its id: the same id again in one queue is the same job. Absent is a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Milliseconds to wait before it may run, from the moment it becomes visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Higher first, within [`PRIORITIES`]; absent is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// How many attempts may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Milliseconds of the shortest wait before a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_backoff_ms: Option<u64>,
    /// Milliseconds of the longest wait before a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_backoff_ms: Option<u64>,
    /// Milliseconds one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Bytes of linear memory one attempt may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Whom it is for, such as `customer:42`: limits and fairness go by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Milliseconds after which it is not worth starting any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

impl Request {
    /// Reads a guest's bytes, and [checks](Self::check) them.
    ///
    /// # Errors
    /// A sentence that says what is wrong: too long, not UTF-8, not such an object, or not a job.
    pub fn parse(spec: &[u8]) -> Result<Self, String> {
        if spec.len() > MAX_SPEC_BYTES {
            return Err(format!("the request has {} bytes, the limit is {MAX_SPEC_BYTES}", spec.len()));
        }
        let unreadable = |reason: String| format!("the request cannot be read as a job: {reason}");
        // serde would take a list for a struct as well, by the order of its fields.
        if !spec.trim_ascii_start().starts_with(b"{") {
            return Err(unreadable("it is not a JSON object".to_owned()));
        }
        // serde quotes the guest's own words, of any length.
        let request: Self =
            serde_json::from_slice(spec).map_err(|e| unreadable(e.to_string().chars().take(200).collect()))?;
        request.check()?;
        Ok(request)
    }

    /// The bytes for the host.
    pub fn to_spec(&self) -> Vec<u8> {
        // A struct of strings and integers always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Checks what can be known without a host, so that a native test finds it too.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        check_name(&self.task).map_err(|reason| format!("its task: {reason}"))?;
        self.queue.as_deref().map_or(Ok(()), check_name).map_err(|reason| format!("its queue: {reason}"))?;
        self.id.as_deref().map_or(Ok(()), check_id).map_err(|reason| format!("its id: {reason}"))?;
        self.key.as_deref().map_or(Ok(()), check_key).map_err(|reason| format!("its key: {reason}"))?;
        if let Some(priority) = self.priority.filter(|priority| !PRIORITIES.contains(priority)) {
            let (low, high) = (PRIORITIES.start(), PRIORITIES.end());
            return Err(format!("its priority is {priority}, it must be from {low} to {high}"));
        }
        if let (Some(min), Some(max)) = (self.min_backoff_ms, self.max_backoff_ms)
            && min > max
        {
            return Err(format!("its min_backoff of {min} ms is longer than its max_backoff of {max} ms"));
        }
        let zero = [
            ("max_attempts", self.max_attempts == Some(0)),
            ("timeout", self.timeout_ms == Some(0)),
            ("memory", self.memory == Some(0)),
            ("expires_in", self.expires_in_ms == Some(0)),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(format!("its {name} is 0, it must be more")),
            None => Ok(()),
        }
    }
}

/// Checks that a text can be a key: 1 to 128 bytes without white space and control characters.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn check_key(key: &str) -> Result<(), String> {
    let fine = |byte: u8| byte > b' ' && byte != 0x7f;
    if key.is_empty() || key.len() > MAX_ID_BYTES || !key.bytes().all(fine) {
        let shown: String = key.escape_debug().take(40).collect();
        return Err(format!("`{shown}` is not a key: it must be 1 to {MAX_ID_BYTES} bytes without white space"));
    }
    Ok(())
}

/// Checks that a text can be a job's id: 1 to 128 of `a–z A–Z 0–9 _ - . :`.
///
/// # Errors
/// A sentence that says what an id is.
pub fn check_id(id: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.chars().all(fine) {
        let shown: String = id.chars().take(40).collect();
        return Err(format!(
            "`{}` is not one: use 1 to {MAX_ID_BYTES} letters, digits, `_`, `-`, `.` or `:`",
            shown.escape_debug()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_round_trips_and_says_no_more_than_it_was_told() {
        let short = Request { task: "resize".into(), ..Request::default() };
        assert_eq!(short.to_spec(), b"{\"task\":\"resize\"}");
        let long = Request {
            queue: Some("slow".into()),
            id: Some("a.1".into()),
            delay_ms: Some(5_000),
            priority: Some(-3),
            max_attempts: Some(5),
            min_backoff_ms: Some(1),
            max_backoff_ms: Some(1),
            timeout_ms: Some(1),
            memory: Some(64 << 20),
            key: Some("customer:42".into()),
            expires_in_ms: Some(1),
            ..short.clone()
        };
        for request in [short, long] {
            assert_eq!(Request::parse(&request.to_spec()), Ok(request));
        }
    }

    #[test]
    fn what_is_no_job_is_refused_with_a_reason() {
        let long = format!("{{\"task\":\"a\"{}}}", " ".repeat(MAX_SPEC_BYTES));
        let id = format!("{{\"task\":\"a\",\"id\":\"{}\"}}", "i".repeat(MAX_ID_BYTES + 1));
        let name = format!("{{\"{}\":1}}", "n".repeat(60_000));
        for (spec, reason) in [
            ("", "cannot be read"),
            ("[\"a\"]", "not a JSON object"),
            ("{\"task\":\"a\"} b", "trailing characters"),
            ("{\"queue\":\"a\"}", "missing field `task`"),
            ("{\"task\":\"a\",\"speed\":9}", "unknown field `speed`"),
            ("{\"task\":\"a\",\"delay_ms\":-1}", "invalid value"),
            ("{\"task\":\"../a\"}", "its task: `../a` is not a name"),
            ("{\"task\":\"a\",\"queue\":\"\"}", "its queue"),
            ("{\"task\":\"a\",\"id\":\"a b\"}", "its id"),
            ("{\"task\":\"a\",\"key\":\"\\u001b[0m\"}", "its key: `\\u{1b}[0m` is not a key"),
            ("{\"task\":\"a\",\"priority\":1001}", "from -1000 to 1000"),
            ("{\"task\":\"a\",\"max_attempts\":0}", "its max_attempts is 0"),
            ("{\"task\":\"a\",\"timeout_ms\":0}", "its timeout is 0"),
            ("{\"task\":\"a\",\"memory\":0}", "its memory is 0"),
            ("{\"task\":\"a\",\"expires_in_ms\":0}", "its expires_in is 0"),
            ("{\"task\":\"a\",\"min_backoff_ms\":2,\"max_backoff_ms\":1}", "longer than its max_backoff"),
            (&long, "limit is 65536"),
            (&id, "its id"),
            (&name, "unknown field `nnn"),
        ] {
            let error = Request::parse(spec.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
            assert!(error.len() < 260, "{} bytes", error.len());
        }
        assert!(Request::parse(b"{\"task\":\"\xff\"}").is_err(), "it is not UTF-8");
    }
}
