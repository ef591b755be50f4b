//! The store of a run: a primary with its replica, or a file that several processes share; and what can be done to it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use afresh_harness::{RedisServer, SOON, wait_until};
use afresh_queue::BrokerUrl;
use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use tempfile::TempDir;

use crate::ledger::{Us, now};

/// Which store, and when it syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// Redis with `appendonly yes`, `appendfsync always`
    RedisAlways,
    /// Redis with `appendonly yes`, `appendfsync everysec`
    RedisEverysec,
    /// The embedded broker, several processes on one file
    Sqlite,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RedisAlways => "Redis, always",
            Self::RedisEverysec => "Redis, everysec",
            Self::Sqlite => "SQLite",
        })
    }
}

/// A running store.
pub enum Store {
    /// Two servers, one of which serves.
    Server(Box<Pair>),
    /// A file, in a folder that goes with it.
    File(TempDir),
}

/// A primary, and a replica that can take its place.
pub struct Pair {
    pub primary: RedisServer,
    replica: RedisServer,
}

impl Store {
    /// Starts one, on the disk.
    ///
    /// # Errors
    /// If the replica does not follow its primary.
    pub fn start(kind: StoreKind) -> anyhow::Result<Self> {
        let sync = match kind {
            StoreKind::Sqlite => return Ok(Self::File(tempfile::tempdir()?)),
            StoreKind::RedisAlways => "always",
            StoreKind::RedisEverysec => "everysec",
        };
        let options = ["--appendonly", "yes", "--appendfsync", sync, "--repl-diskless-sync-delay", "0"];
        let pair = Pair { primary: RedisServer::start_with(&options), replica: RedisServer::start_with(&options) };
        pair.follow()?;
        Ok(Self::Server(Box::new(pair)))
    }

    /// The servers, where there are any.
    ///
    /// # Errors
    /// If it is a file: its faults are those of processes.
    pub fn servers(&mut self) -> anyhow::Result<&mut Pair> {
        match self {
            Self::Server(pair) => Ok(pair),
            Self::File(..) => anyhow::bail!("a file is no server"),
        }
    }

    /// Where it serves, if not in a file.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Server(pair) => Some(pair.primary.address()),
            Self::File(..) => None,
        }
    }

    /// The URL of a broker that finds it at this address of a proxy.
    pub fn url(&self, proxy: Option<SocketAddr>) -> BrokerUrl {
        match (self, proxy) {
            (Self::File(folder), _) => BrokerUrl::file(file(folder)),
            (Self::Server(pair), proxy) => {
                let address = proxy.unwrap_or(pair.primary.address());
                format!("redis://{address}").parse().expect("a URL of Redis")
            }
        }
    }
}

impl Pair {
    /// Sends one command to the server that serves.
    ///
    /// # Errors
    /// If it does not answer, or answers with an error.
    pub fn tell(&self, command: &str) -> anyhow::Result<String> {
        tell(&self.primary, command)
    }

    /// Kills the primary and starts it again, with what it has on disk.
    pub fn crash(&mut self, down: Duration) {
        self.primary.kill();
        sleep(down);
        self.primary.restart();
    }

    /// Stops it for so long.
    pub fn stop(&self, span: Duration) {
        self.primary.pause();
        sleep(span);
        self.primary.resume();
    }

    /// Lets it reach its memory limit for so long.
    pub fn fill_memory(&self, span: Duration) -> anyhow::Result<()> {
        let used = figure(&self.tell("INFO memory")?, "used_memory:")?;
        self.tell(&format!("CONFIG SET maxmemory {}", used / 2))?;
        sleep(span);
        self.tell("CONFIG SET maxmemory 0").map(drop)
    }

    /// Lets it fail to write to its disk for so long. The disk is not full: a folder stands where its snapshot is to go.
    /// What the server makes of it is the same.
    pub fn fill_disk(&self, span: Duration) -> anyhow::Result<()> {
        let snapshot = self.primary.folder().join("dump.rdb");
        let _ = std::fs::remove_file(&snapshot);
        std::fs::create_dir_all(snapshot.join("in the way"))?;
        self.tell("CONFIG SET save \"3600 1\"")?;
        self.snapshot("err")?;
        sleep(span);
        std::fs::remove_dir_all(&snapshot)?;
        self.snapshot("ok")?;
        self.tell("CONFIG SET save \"\"").map(drop)
    }

    /// Takes snapshots until one has come to this.
    fn snapshot(&self, status: &str) -> anyhow::Result<()> {
        let wanted = format!("rdb_last_bgsave_status:{status}\r");
        let come = wait_until(SOON, || {
            // Refused while the server rewrites its log: later, then.
            let _ = self.primary.try_command("BGSAVE");
            sleep(Duration::from_millis(100));
            self.tell("INFO persistence")
                .is_ok_and(|info| info.contains(&wanted) && info.contains("rdb_bgsave_in_progress:0\r"))
        });
        ensure!(come, "no snapshot of Redis came to {status:?}");
        Ok(())
    }

    /// Waits until the replica has all that the primary had at an instant, and answers that.
    ///
    /// # Errors
    /// If it never has.
    pub fn in_step(&self) -> anyhow::Result<Us> {
        let mut at = 0;
        let in_step = wait_until(SOON, || {
            at = now();
            let had = tell(&self.primary, "INFO replication").and_then(|info| figure(&info, "master_repl_offset:"));
            had.is_ok_and(|had| wait_until(Duration::from_secs(1), || self.has_heard(had)))
        });
        ensure!(in_step, "the replica does not follow its primary");
        Ok(at)
    }

    fn has_heard(&self, offset: u64) -> bool {
        tell(&self.replica, "INFO replication").is_ok_and(|info| {
            info.contains("master_link_status:up") && figure(&info, "slave_repl_offset:").is_ok_and(|own| own >= offset)
        })
    }

    /// Lets the replica take over, once it has everything; writes wait meanwhile. Answers whether it did.
    pub fn hand_over(&mut self) -> anyhow::Result<bool> {
        self.tell("CLIENT PAUSE 60000 WRITE")?;
        let offset = |server: &RedisServer| figure(&tell(server, "INFO replication")?, "master_repl_offset:");
        let mut behind = true;
        let _ = wait_until(Duration::from_secs(20), || {
            behind = !matches!((offset(&self.primary), offset(&self.replica)), (Ok(a), Ok(b)) if a == b);
            !behind
        });
        if behind {
            return self.tell("CLIENT UNPAUSE").map(|_| false);
        }
        tell(&self.replica, "REPLICAOF NO ONE")?;
        std::mem::swap(&mut self.primary, &mut self.replica);
        // Before it answers those that wait: to them it is a replica by then.
        self.follow_at_once()?;
        tell(&self.replica, "CLIENT UNPAUSE").map(|_| true)
    }

    /// Kills the primary, and lets the replica take over with what it has.
    pub fn fail_over(&mut self) -> anyhow::Result<()> {
        self.primary.kill();
        tell(&self.replica, "REPLICAOF NO ONE")?;
        std::mem::swap(&mut self.primary, &mut self.replica);
        Ok(())
    }

    /// Starts the one that was the primary again, as a replica.
    pub fn bring_back(&mut self) -> anyhow::Result<()> {
        self.replica.restart();
        self.follow_at_once()
    }

    fn follow_at_once(&self) -> anyhow::Result<()> {
        let address = self.primary.address();
        tell(&self.replica, &format!("REPLICAOF {} {}", address.ip(), address.port())).map(drop)
    }

    fn follow(&self) -> anyhow::Result<()> {
        self.follow_at_once()?;
        self.in_step().map(drop)
    }
}

/// The file of an embedded broker in this folder.
pub fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("jobs.db")
}

/// Sends one command, and again where no answer comes: all of them may be repeated.
fn tell(server: &RedisServer, command: &str) -> anyhow::Result<String> {
    let mut answer = None;
    let _ = wait_until(SOON, || {
        answer = server.try_command(command).ok().filter(|answer| !answer.is_empty());
        answer.is_some()
    });
    let answer = answer.with_context(|| format!("Redis does not answer {command}"))?;
    ensure!(!answer.starts_with('-'), "Redis refuses {command}: {answer}");
    Ok(answer)
}

/// A figure that INFO has.
pub fn figure(info: &str, name: &str) -> anyhow::Result<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|figure| figure.trim().parse().ok()).with_context(|| format!("Redis does not tell its {name}"))
}
