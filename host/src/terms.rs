//! The terms one job runs under: its own options, else the task's, else the defaults, and never more than the operator
//! allows. Pure.

use std::time::Duration;

use afresh_protocol::TaskPolicy;
use afresh_queue::{JobOptions, RetryPolicy};
use afresh_sandbox::Limits;

use crate::config::{Config, TaskCeilings};

/// The terms one job runs under.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The walls of each attempt.
    pub limits: Limits,
    /// How attempts are retried.
    pub retry: RetryPolicy,
}

impl Terms {
    /// The terms of a job of `task` that asks for `options`. A task nobody knows asks for nothing.
    pub fn of(task: &TaskPolicy, options: &JobOptions, config: &Config) -> Self {
        let (defaults, ceilings) = (&config.defaults, &config.limits);
        let none = TaskCeilings::default();
        let own = config.tasks.get(&task.task).unwrap_or(&none);
        let millis = |job: Option<u64>, task: Option<u64>, default: Duration| {
            job.or(task).map_or(default, Duration::from_millis)
        };

        let memory = options.memory.or(task.memory).unwrap_or(defaults.memory.as_u64());
        let timeout = millis(options.timeout_ms, task.timeout_ms, defaults.timeout);
        let max_attempts = options.max_attempts.or(task.max_attempts).unwrap_or(defaults.max_attempts);
        let min_backoff = millis(options.min_backoff_ms, task.min_backoff_ms, defaults.min_backoff);
        let max_backoff = millis(options.max_backoff_ms, task.max_backoff_ms, defaults.max_backoff);

        Self {
            limits: Limits {
                memory: memory.min(ceilings.memory.as_u64()).min(own.memory.map_or(u64::MAX, |m| m.as_u64())),
                timeout: timeout.min(ceilings.timeout).min(own.timeout.unwrap_or(Duration::MAX)),
                fuel: task.fuel,
                output: to_usize(ceilings.output.as_u64()),
                error: to_usize(ceilings.error.as_u64()),
                log: to_usize(ceilings.log.as_u64()),
                ..Limits::default()
            },
            retry: RetryPolicy {
                max_attempts: max_attempts.min(ceilings.max_attempts).min(own.max_attempts.unwrap_or(u32::MAX)).max(1),
                min_backoff: min_backoff.min(max_backoff),
                max_backoff,
                max_waits: ceilings.waits,
                max_lost: ceilings.lost.max(1),
                keep_result: defaults.keep_result,
                ..RetryPolicy::default()
            },
        }
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_wins_over_the_task_and_the_operator_over_both() {
        let config = Config::parse("[limits]\nmemory = \"64 MiB\"\n[tasks.a]\ntimeout = \"2s\"").unwrap();
        let task = TaskPolicy {
            task: "a".into(),
            timeout_ms: Some(5_000),
            memory: Some(16 << 20),
            max_attempts: Some(3),
            ..TaskPolicy::default()
        };
        let asked = JobOptions { memory: Some(1 << 40), timeout_ms: Some(1_000), ..JobOptions::default() };

        let plain = Terms::of(&task, &JobOptions::default(), &config);
        assert_eq!((plain.limits.memory, plain.limits.timeout), (16 << 20, Duration::from_secs(2)));
        assert_eq!(plain.retry.max_attempts, 3);

        let greedy = Terms::of(&task, &asked, &config);
        assert_eq!((greedy.limits.memory, greedy.limits.timeout), (64 << 20, Duration::from_secs(1)));
    }

    #[test]
    fn a_job_that_asks_for_no_attempt_gets_one() {
        let config = Config::parse("").unwrap();
        let options = JobOptions { max_attempts: Some(0), ..JobOptions::default() };
        assert_eq!(Terms::of(&TaskPolicy::default(), &options, &config).retry.max_attempts, 1);
    }
}
