//! The file, looked over: whether it keeps what it acknowledges, whether it has room to grow, how fast its disk is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, Result, Transaction};

use super::SqliteBroker;
use crate::broker::BrokerError;
use crate::checkup::{Checkup, Finding, ROUND_TRIPS, latency};

/// How long a write may usually take: longer than a good disk of turning parts.
const USUAL: Duration = Duration::from_millis(50);

/// With less room than this, in bytes, a person should know; with less than the second, now.
const ROOM: (u64, u64) = (1 << 30, 64 << 20);

#[async_trait]
impl Checkup for SqliteBroker {
    async fn checkup(&self) -> std::result::Result<Vec<Finding>, BrokerError> {
        let Facts { version, journal, synchronous, path } = self.store.read(|view, _| facts(view)).await?;
        let mut findings = vec![Finding::ok("version", format!("SQLite {version}"))];
        let Some(path) = path else {
            findings.push(Finding::warning(
                "persistence",
                "it is kept in memory: its jobs end with the program that made them",
                "name a file with --broker sqlite:PATH",
            ));
            return Ok(findings);
        };
        findings.push(persistence(&journal, synchronous));
        findings.push(room(&path));
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let asked = Instant::now();
            match self.store.write(|file, _| write_something(file)).await {
                Ok(()) => times.push(asked.elapsed()),
                Err(error) => {
                    let to_do = "mend that: until then no job can be enqueued, and no outcome written";
                    findings.push(Finding::problem("writes", error.to_string(), to_do));
                    return Ok(findings);
                }
            }
        }
        findings.push(Finding::ok("writes", "it takes them"));
        findings.push(latency("writes, each synced", times, USUAL, "put the file on a faster disk of this machine"));
        findings.push(Finding::ok("clock", "this machine's own"));
        Ok(findings)
    }
}

/// What the connection says of itself and its file.
struct Facts {
    version: String,
    journal: String,
    synchronous: i64,
    /// `None` where it is memory.
    path: Option<PathBuf>,
}

fn facts(view: &Connection) -> Result<Facts> {
    Ok(Facts {
        version: rusqlite::version().to_owned(),
        journal: view.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
        synchronous: view.pragma_query_value(None, "synchronous", |row| row.get(0))?,
        path: view.path().filter(|path| !path.is_empty()).map(PathBuf::from),
    })
}

fn persistence(journal: &str, synchronous: i64) -> Finding {
    // 2 is FULL, 3 is EXTRA.
    if journal == "wal" && synchronous >= 2 {
        let found = "write-ahead log, synced before every answer: nothing that was acknowledged is lost";
        return Finding::ok("persistence", found);
    }
    Finding::problem(
        "persistence",
        format!("its disk offers no write-ahead log (it is `{journal}`, synchronous {synchronous})"),
        "put the file on a disk of this machine: a network's does not do",
    )
}

fn room(path: &Path) -> Finding {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let shown = folder.display();
    let free = match rustix::fs::statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            let to_do = "look at it with `df`";
            return Finding::warning("disk", format!("how much room {shown} has could not be asked: {error}"), to_do);
        }
    };
    judge_room(free, &shown.to_string())
}

fn judge_room(free: u64, folder: &str) -> Finding {
    let found = format!("{} MiB free in {folder}", free >> 20);
    let to_do = "make room: with none left no job can be enqueued";
    match free {
        free if free < ROOM.1 => Finding::problem("disk", found, to_do),
        free if free < ROOM.0 => Finding::warning("disk", found, to_do),
        _ => Finding::ok("disk", found),
    }
}

/// Makes the disk write and sync, and leaves nothing.
fn write_something(file: &Transaction<'_>) -> Result<()> {
    file.execute("INSERT OR REPLACE INTO workers (name, info, seen_at, until) VALUES ('', '', 0, 0)", [])?;
    file.execute("DELETE FROM workers WHERE name = ''", []).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::Level;

    #[test]
    fn what_the_disk_cannot_give_is_named() {
        assert_eq!(persistence("wal", 2).level, Level::Ok);
        assert_eq!((persistence("delete", 2).level, persistence("wal", 1).level), (Level::Problem, Level::Problem));
        let levels = [2 << 30, 1 << 29, 1 << 20].map(|free| judge_room(free, "/x").level);
        assert_eq!(levels, [Level::Ok, Level::Warning, Level::Problem]);
    }
}
