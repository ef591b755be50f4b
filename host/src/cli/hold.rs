//! What keeps a queued job from starting, and the command that a person types about it.

use afresh_queue::control::version_held;
use afresh_queue::{JobView, QueueRules, Rule, Scope, State};

use super::page::cell;
use super::scope::{flags, quoted};

/// What keeps a job from starting.
pub(super) struct Hold {
    /// In words, such as `the limit of task:resize`.
    pub(super) by: String,
    /// What to type.
    pub(super) command: String,
    /// What that is for.
    pub(super) why: &'static str,
}

/// What keeps this job from starting, under the rules of all queues; `None` where nothing does.
pub(super) fn of(job: &JobView, rules: &[QueueRules]) -> Option<Hold> {
    if job.state != State::Queued {
        return None;
    }
    let rules = rules.iter().find(|rules| rules.queue == job.queue).map_or(&[][..], |rules| &rules.rules);
    let of_queue = rules.iter().find(|rule| rule.scope == Scope::Queue);
    match (&job.held_by, of_queue) {
        (_, Some(rule)) if rule.paused => Some(pause(job, rule)),
        (Some(name), _) if let Some(version) = version_held(name) => Some(record(version)),
        (Some(name), _) => Some(match rules.iter().find(|rule| rule.scope.to_string() == *name) {
            Some(rule) if rule.paused => pause(job, rule),
            _ => limit(job, name),
        }),
        (None, Some(rule)) if is_reached(rule) => Some(limit(job, "the queue")),
        (None, _) => None,
    }
}

fn record(version: u64) -> Hold {
    Hold {
        by: format!("its record, of version {version}: it waits for a worker of a newer Afresh"),
        command: "afresh workers".to_owned(),
        why: "see which versions work here",
    }
}

fn pause(job: &JobView, rule: &Rule) -> Hold {
    let by = match &rule.scope {
        Scope::Queue => "the pause of the queue".to_owned(),
        scope => format!("the pause of {}", cell(&scope.to_string())),
    };
    Hold {
        by,
        command: format!("afresh queue resume {}{}", quoted(&job.queue), flags(&rule.scope)),
        why: "let it go on",
    }
}

fn limit(job: &JobView, scope: &str) -> Hold {
    Hold {
        by: format!("the limit of {}", cell(scope)),
        command: format!("afresh limit ls --queue {}", quoted(&job.queue)),
        why: "see the limits, and what runs under them",
    }
}

fn is_reached(rule: &Rule) -> bool {
    rule.limit.concurrency.is_some_and(|most| rule.running >= u64::from(most))
}
