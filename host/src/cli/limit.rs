//! `afresh limit`: how many jobs may run at the same time, and how fast they may start; on every worker together.

use std::process::ExitCode;

use afresh_protocol::policy::check_name;
use afresh_queue::job::DEFAULT_QUEUE;
use afresh_queue::{Limit, QueueRules, Rate, Rule, Scope};
use anyhow::anyhow;
use clap::{ArgGroup, Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::handle::Handle;
use super::page::cell;
use super::scope::{Narrowed, words};
use super::{Output, Session, Usage, block_on, queue};

const EXAMPLES: &str = "\
Examples:
  afresh limit set --concurrency 20                      of the queue default, all together
  afresh limit set --queue mail --rate 100/s             no faster than a provider allows
  afresh limit set --task import --concurrency 1         never two at the same time
  afresh limit set --each-key --concurrency 2            no customer takes all the slots
  afresh limit set --key customer:42 --concurrency 10    but this one may have more
  afresh limit rm --task import

Jobs over a limit are held: in nobody's way, and started as soon as there is room.";

/// Limits how many jobs run at the same time, and how fast they start.
#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List limits and pauses, and how things stand under each
    Ls {
        /// Only those of this queue
        #[arg(long, value_name = "NAME", env = "AFRESH_QUEUE")]
        queue: Option<String>,
    },
    /// Set a limit in place of the one that is there: of a queue, or of a task or key in it
    #[command(after_help = EXAMPLES, group = ArgGroup::new("numbers").required(true).multiple(true).args(["concurrency", "rate"]))]
    Set {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        numbers: Numbers,
    },
    /// Take a limit away; a pause stays
    Rm {
        #[command(flatten)]
        target: Target,
    },
}

// Said on the command line alone, as the scope is.
#[derive(ClapArgs, Debug)]
struct Target {
    /// The queue
    #[arg(long, value_name = "NAME", default_value = DEFAULT_QUEUE)]
    queue: String,
    #[command(flatten)]
    narrowed: Narrowed,
    /// The jobs for each key that has no limit of its own, key by key
    #[arg(long, conflicts_with_all = ["task", "key"])]
    each_key: bool,
}

#[derive(ClapArgs, Debug)]
struct Numbers {
    /// At most so many at the same time
    #[arg(long, value_name = "N", env = "AFRESH_LIMIT_CONCURRENCY", allow_negative_numbers = true, value_parser = jobs)]
    concurrency: Option<u32>,
    /// No more starts than this, such as 100/s, 5/m, 20/h or 1/d
    #[arg(long, env = "AFRESH_LIMIT_RATE", allow_hyphen_values = true)]
    rate: Option<Rate>,
    /// So many may start at once after a quiet time [default: what one second brings]
    #[arg(long, value_name = "N", env = "AFRESH_LIMIT_BURST", requires = "rate", allow_negative_numbers = true)]
    burst: Option<u32>,
}

fn jobs(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("0 would hold every job for ever: `afresh queue pause` does that".to_owned()),
        Ok(jobs) => Ok(jobs),
        Err(_) => Err("it must be a whole number from 1".to_owned()),
    }
}

impl Target {
    fn parse(self) -> Result<(String, Scope), Usage> {
        check_name(&self.queue).map_err(Usage)?;
        let scope = if self.each_key { Scope::EachKey } else { self.narrowed.scope()? };
        Ok((self.queue, scope))
    }
}

impl Numbers {
    fn limit(self) -> Result<Limit, Usage> {
        let Self { concurrency, rate, burst } = self;
        let rate = rate.map(|rate| Rate { burst: burst.unwrap_or(rate.burst), ..rate });
        let limit = Limit { concurrency, rate };
        limit.check().map_err(Usage)?;
        Ok(limit)
    }
}

/// A rule with its queue, as a listing shows it.
#[derive(Serialize)]
struct Row<'a> {
    queue: &'a str,
    #[serde(flatten)]
    rule: &'a Rule,
}

/// A limit that was set or taken away, for programs.
#[derive(Serialize)]
struct Changed<'a> {
    queue: &'a str,
    scope: &'a Scope,
    #[serde(flatten)]
    limit: Limit,
}

/// Runs the verb.
///
/// # Errors
/// When the broker cannot be reached, the limit cannot be, or there is none to take away.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    let output = session.output;
    match args.verb {
        Verb::Ls { queue } => block_on(async { list(&Handle::open(session).await?, output, queue.as_deref()).await }),
        Verb::Set { target, numbers } => {
            let (queue, scope) = target.parse()?;
            let limit = numbers.limit()?;
            block_on(async { set(&Handle::open(session).await?, output, &queue, &scope, limit).await })
        }
        Verb::Rm { target } => {
            let (queue, scope) = target.parse()?;
            block_on(async { remove(&Handle::open(session).await?, output, &queue, &scope).await })
        }
    }
}

async fn list(handle: &Handle, output: Output, queue: Option<&str>) -> anyhow::Result<ExitCode> {
    let rules = handle.ask(handle.broker.rules()).await?;
    let rows: Vec<_> = rules
        .iter()
        .filter(|rules| queue.is_none_or(|queue| rules.queue == queue))
        .flat_map(|rules| rules.rules.iter().map(|rule| Row { queue: &rules.queue, rule }))
        .collect();
    if rows.is_empty() && !output.is_json() {
        eprintln!("no limits in {}: `afresh limit set --help` shows how to set one", handle.url());
        return Ok(ExitCode::SUCCESS);
    }
    let headings = ["QUEUE", "SCOPE", "CONCURRENCY", "RATE", "PAUSED", "RUNNING", "HELD"];
    output.listing(&rows, &headings, |row| {
        let Rule { scope, limit, paused, running, held } = row.rule;
        // Of each key there is no one number, and what a queue holds is all that it has.
        let (scope, running, held) = match scope {
            Scope::EachKey => ("each key".to_owned(), None, None),
            Scope::Queue => ("queue".to_owned(), Some(running), None),
            scope => (cell(&scope.to_string()), Some(running), Some(held)),
        };
        let number = |number: Option<&u64>| number.map_or_else(|| "-".to_owned(), u64::to_string);
        vec![
            cell(row.queue),
            scope,
            limit.concurrency.map_or_else(|| "-".to_owned(), |most| most.to_string()),
            limit.rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate}, burst {}", rate.burst)),
            if *paused { "yes" } else { "no" }.to_owned(),
            number(running),
            number(held),
        ]
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn set(handle: &Handle, output: Output, queue: &str, scope: &Scope, limit: Limit) -> anyhow::Result<ExitCode> {
    queue::note_if_new(handle, queue).await?;
    let before = limit_of(&handle.ask(handle.broker.rules()).await?, queue, scope);
    handle.ask(handle.broker.set_limit(queue, scope, &limit)).await?;
    output.value(&Changed { queue, scope, limit }, |_| {
        let before = before.filter(|before| *before != limit);
        let before = before.map(|before| format!(" (it was {})", said(before))).unwrap_or_default();
        format!("limited {} to {}{before}", words(queue, scope), said(limit))
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn remove(handle: &Handle, output: Output, queue: &str, scope: &Scope) -> anyhow::Result<ExitCode> {
    let words = words(queue, scope);
    let limit = limit_of(&handle.ask(handle.broker.rules()).await?, queue, scope)
        .ok_or_else(|| anyhow!("there is no limit of {words}: `afresh limit ls` shows which there are"))?;
    handle.ask(handle.broker.set_limit(queue, scope, &Limit::default())).await?;
    output.value(&Changed { queue, scope, limit }, |_| format!("took away the limit of {words}: {}", said(limit)))?;
    Ok(ExitCode::SUCCESS)
}

/// The limit that is there; `None` also where there is only a pause.
fn limit_of(rules: &[QueueRules], queue: &str, scope: &Scope) -> Option<Limit> {
    let rules = rules.iter().find(|rules| rules.queue == queue)?;
    let rule = rules.rules.iter().find(|rule| rule.scope == *scope)?;
    (rule.limit != Limit::default()).then_some(rule.limit)
}

/// `5 at the same time, and 10/s with a burst of 10`.
fn said(limit: Limit) -> String {
    let concurrency = limit.concurrency.map(|most| format!("{most} at the same time"));
    let rate = limit.rate.map(|rate| format!("{rate} with a burst of {}", rate.burst));
    concurrency.into_iter().chain(rate).collect::<Vec<_>>().join(", and ")
}
