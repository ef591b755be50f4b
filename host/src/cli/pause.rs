//! `afresh queue pause`, `resume` and `fair`: what a person sets about a queue, for every worker at once. Setting what is
//! set already is fine, and is said.

use std::process::ExitCode;

use afresh_protocol::policy::check_name;
use afresh_queue::Scope;
use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;

use super::handle::Handle;
use super::scope::{Narrowed, words};
use super::{Session, Usage, block_on, queue};

/// What is paused, or goes on.
#[derive(ClapArgs, Debug)]
pub(super) struct What {
    /// The queue
    name: String,
    #[command(flatten)]
    narrowed: Narrowed,
}

/// Which queue is fair, or no more.
#[derive(ClapArgs, Debug)]
pub(super) struct Fairness {
    /// The queue
    name: String,
    /// Whether its keys take turns
    #[arg(value_enum, default_value_t = Switch::On)]
    fair: Switch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// What became of a pause, for programs.
#[derive(Serialize)]
struct Paused<'a> {
    queue: &'a str,
    scope: &'a Scope,
    paused: bool,
    changed: bool,
}

/// What became of a queue's fairness, for programs.
#[derive(Serialize)]
struct Fair<'a> {
    queue: &'a str,
    fair: bool,
    changed: bool,
}

/// Pauses, or lets go on.
///
/// # Errors
/// [`Usage`] where a name cannot be; else the broker's own.
pub(super) fn set(session: &Session, What { name, narrowed }: What, paused: bool) -> anyhow::Result<ExitCode> {
    check_name(&name).map_err(Usage)?;
    let scope = narrowed.scope()?;
    let changed = block_on(async {
        let handle = Handle::open(session).await?;
        queue::note_if_new(&handle, &name).await?;
        handle.ask(handle.broker.set_paused(&name, &scope, paused)).await
    })?;
    let words = words(&name, &scope);
    session.output.value(&Paused { queue: &name, scope: &scope, paused, changed }, |_| match (paused, changed) {
        (true, true) => format!("paused {words}: what runs goes on, nothing starts"),
        (true, false) => format!("{words} is paused already"),
        (false, true) => format!("resumed {words}"),
        (false, false) => format!("{words} is not paused"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a queue fair, or no more.
///
/// # Errors
/// [`Usage`] where the name cannot be; else the broker's own.
pub(super) fn set_fair(session: &Session, Fairness { name, fair }: Fairness) -> anyhow::Result<ExitCode> {
    check_name(&name).map_err(Usage)?;
    let fair = fair == Switch::On;
    let changed = block_on(async {
        let handle = Handle::open(session).await?;
        queue::note_if_new(&handle, &name).await?;
        handle.ask(handle.broker.set_fair(&name, fair)).await
    })?;
    let words = words(&name, &Scope::Queue);
    session.output.value(&Fair { queue: &name, fair, changed }, |_| match (fair, changed) {
        (true, true) => format!("{words} is fair now: the keys of jobs enqueued from here on take turns"),
        (true, false) => format!("{words} is fair already"),
        (false, true) => format!("{words} is first in, first out again"),
        (false, false) => format!("{words} is not fair"),
    })?;
    Ok(ExitCode::SUCCESS)
}
