//! What a worker takes, seen from outside.

use std::fs;

use anyhow::Context as _;

#[path = "../benches/shared/process.rs"]
mod shared;

pub use shared::memory;

/// How many descriptors a process has open.
///
/// # Errors
/// If it is gone.
pub fn descriptors(pid: u32) -> anyhow::Result<u64> {
    entries(pid, "fd")
}

/// How many threads it has.
///
/// # Errors
/// If it is gone.
pub fn threads(pid: u32) -> anyhow::Result<u64> {
    entries(pid, "task")
}

fn entries(pid: u32, folder: &str) -> anyhow::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{pid}/{folder}")).context("the worker is gone")?.count() as u64)
}
