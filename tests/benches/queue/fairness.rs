//! One tenant has a hundred thousand jobs waiting when another hands over its only one: how many jobs does that wait for?

use afresh_queue::NewJob;
use serde::Serialize;

use crate::site::{Kind, QUEUE, Site};

/// After how many of tenant A's jobs tenant B's starts.
#[derive(Serialize)]
pub(crate) struct Findings {
    /// Jobs of tenant A that wait when B's comes.
    pub(crate) ahead: usize,
    pub(crate) fair: usize,
    pub(crate) unfair: usize,
}

pub(crate) async fn run(kind: Kind, jobs: usize) -> anyhow::Result<Findings> {
    Ok(Findings { ahead: jobs, fair: wait(kind, jobs, true).await?, unfair: wait(kind, jobs, false).await? })
}

async fn wait(kind: Kind, jobs: usize, fair: bool) -> anyhow::Result<usize> {
    let site = Site::start(kind).await?;
    site.broker.set_fair(QUEUE, fair).await?;
    site.enqueue((0..jobs).map(|_| NewJob::new("t", "").key("A")).collect()).await?;
    // In the middle of it.
    let first = site.lease(64).await?;
    site.complete(&first).await?;
    let only = NewJob::new("t", "").key("B");
    let id = only.id.clone();
    site.enqueue(vec![only]).await?;
    let mut before = 0;
    loop {
        let leases = site.lease(64).await?;
        anyhow::ensure!(!leases.is_empty(), "B's job is never leased");
        if let Some(place) = leases.iter().position(|lease| lease.job.id == id) {
            return Ok(before + place);
        }
        before += leases.len();
        site.complete(&leases).await?;
    }
}
