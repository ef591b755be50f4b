//! What Redis says of itself, told as findings: what it may lose, what it may throw away, how fast it answers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::server::{check_kind, check_version, field};
use super::{RedisBroker, keys};
use crate::broker::BrokerError;
use crate::checkup::{Checkup, Finding, ROUND_TRIPS, clocks, latency};
use crate::clock::Timestamp;

/// How long a round trip may usually take.
const USUAL: Duration = Duration::from_millis(20);

/// Parts of a hundred of its memory that a server may use before a person should know.
const FULL_PERCENT: u64 = 85;

/// The settings that only `CONFIG GET` tells.
type Settings = HashMap<String, String>;

#[async_trait]
impl Checkup for RedisBroker {
    async fn checkup(&self) -> Result<Vec<Finding>, BrokerError> {
        let infos = self.link.each::<String>(&redis::cmd("INFO")).await?;
        let ask = redis::cmd("CONFIG").arg("GET").arg(&["appendfsync", "save", "min-replicas-to-write"]).to_owned();
        let settings = match self.link.each::<Settings>(&ask).await {
            Ok(settings) => settings.into_iter().map(|(_, settings)| settings).collect(),
            Err(error @ BrokerError::Unavailable(_)) => return Err(error),
            // A managed server forbids this, in words of its own.
            Err(_) => Vec::new(),
        };
        let looked_at = infos.iter().enumerate().map(|(place, (node, info))| {
            let (place, settings) = (self.link.place(), settings.get(place));
            let all = [
                version(info, place),
                role(info),
                persistence(info, settings),
                replicas(info, settings),
                eviction(info),
                memory(info),
            ];
            (node.as_deref(), all)
        });
        let mut findings = worst(looked_at.collect());
        findings.extend([self.writes().await?, self.latency().await?, self.clock_apart().await?]);
        Ok(findings)
    }
}

/// Of several servers' findings the worst about each thing, which says whose it is.
fn worst<const N: usize>(of_nodes: Vec<(Option<&str>, [Finding; N])>) -> Vec<Finding> {
    let mut all = Vec::<Finding>::with_capacity(N);
    for (node, findings) in of_nodes {
        for (place, finding) in findings.into_iter().enumerate() {
            let found = node.map_or_else(|| finding.found.clone(), |node| format!("{node}: {}", finding.found));
            let finding = Finding { found, ..finding };
            match all.get_mut(place) {
                Some(known) if known.level >= finding.level => {}
                Some(known) => *known = finding,
                None => all.push(finding),
            }
        }
    }
    all
}

impl RedisBroker {
    async fn writes(&self) -> Result<Finding, BrokerError> {
        let write = redis::cmd("SET").arg(keys::CHECK).arg(1).arg("PX").arg(1000).to_owned();
        match self.link.query::<()>(&write).await {
            Ok(()) => Ok(Finding::ok("writes", "it takes them")),
            Err(error @ BrokerError::Unavailable(_)) => Err(error),
            Err(error) => Ok(Finding::problem(
                "writes",
                error.to_string(),
                "mend that: until then no job can be enqueued, and no outcome written",
            )),
        }
    }

    async fn latency(&self) -> Result<Finding, BrokerError> {
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let asked = Instant::now();
            self.link.query::<()>(&redis::cmd("PING")).await?;
            times.push(asked.elapsed());
        }
        Ok(latency(
            "round trips",
            times,
            USUAL,
            "run workers nearer to it, and look for what keeps it busy (`SLOWLOG GET`)",
        ))
    }

    async fn clock_apart(&self) -> Result<Finding, BrokerError> {
        let (before, asked) = (Timestamp::now(), Instant::now());
        let (seconds, rest): (i64, i64) = self.link.query(&redis::cmd("TIME")).await?;
        Ok(clocks(Timestamp(seconds * 1_000_000 + rest), before.after(asked.elapsed() / 2)))
    }
}

fn version(info: &str, place: &str) -> Finding {
    if let Err(reason) = check_kind(info, place) {
        return Finding::problem("version", reason, "write that URL");
    }
    let named = |name, text| field(info, text).map(|version| format!("{name} {version}"));
    match check_version(info, place) {
        Ok(()) => Finding::ok(
            "version",
            named("Valkey", "valkey_version").or_else(|| named("Redis", "redis_version")).unwrap_or_default(),
        ),
        Err(reason) => Finding::problem("version", reason, "upgrade the server, or name another one with --broker"),
    }
}

fn role(info: &str) -> Finding {
    if field(info, "role") == Some("slave") {
        return Finding::problem(
            "role",
            "it is a replica, which takes no writes",
            "point the broker's URL at the primary",
        );
    }
    Finding::ok("role", "a primary")
}

/// What a crash may cost, in plain words.
fn persistence(info: &str, settings: Option<&Settings>) -> Finding {
    let about = "persistence";
    if ["aof_last_write_status", "rdb_last_bgsave_status"].iter().any(|status| field(info, status) == Some("err")) {
        let to_do = "look at its log and at the room on its disk; it may refuse all writes until one succeeds";
        return Finding::problem(about, "its last try to write its data to disk failed", to_do);
    }
    let setting = |name| settings.map(|settings| settings.get(name).map_or("", String::as_str));
    if field(info, "aof_enabled") == Some("1") {
        return match setting("appendfsync") {
            Some("always") => Finding::ok(
                about,
                "append-only file, synced before every answer: nothing that was acknowledged is lost",
            ),
            Some("no") => Finding::warning(
                about,
                "append-only file, synced when the system finds time: if its machine crashes, about the last half minute \
                 of acknowledged writes may be lost",
                "set `appendfsync everysec`, or `always`",
            ),
            Some(_) => Finding::ok(
                about,
                "append-only file, synced every second: if its machine crashes, about the last second of acknowledged \
                 writes may be lost, and where its disk is slow the last two, also if it crashes alone",
            ),
            None => Finding::warning(
                about,
                "append-only file; how often it is synced could not be asked, because this server forbids CONFIG",
                "ask whoever runs it for `appendfsync`: with `everysec` about a second may be lost, with `always` nothing",
            ),
        };
    }
    let to_do = "set `appendonly yes`; then about a second may be lost, and with `appendfsync always` nothing";
    let unsaved = field(info, "rdb_changes_since_last_save").unwrap_or("unknown");
    let found = match setting("save") {
        Some("") => "nothing is written to disk: a restart or a crash loses every job and every result".to_owned(),
        Some(_) => format!(
            "snapshots only: a crash loses every job and every result since the last one, now {unsaved} changes"
        ),
        None => {
            "no append-only file: a crash loses at least what came after the last snapshot; whether snapshots are made \
                 could not be asked, because this server forbids CONFIG"
                .to_owned()
        }
    };
    Finding::warning(about, found, to_do)
}

/// What a failover may cost: replication is asynchronous.
fn replicas(info: &str, settings: Option<&Settings>) -> Finding {
    let about = "replicas";
    let count = field(info, "connected_slaves").unwrap_or("0");
    let waits = settings.and_then(|settings| settings.get("min-replicas-to-write")).is_some_and(|least| least != "0");
    match (count, waits) {
        ("0", _) => Finding::ok(about, "none: what its disk and its machine lose is lost"),
        (_, true) => Finding::ok(
            about,
            format!(
                "{count}, and no writes without them: a failover may lose what was acknowledged in the last moment"
            ),
        ),
        _ => Finding::warning(
            about,
            format!(
                "{count}: a failover may lose what was acknowledged in the last moment, and all that a primary which is cut \
                 off takes until it notices"
            ),
            "set `min-replicas-to-write 1` and `min-replicas-max-lag 10`, so that a primary which is cut off takes no writes",
        ),
    }
}

/// The `volatile` policies are harmless: no key of ours that matters has a time to live.
fn eviction(info: &str) -> Finding {
    let policy = field(info, "maxmemory_policy").unwrap_or("unknown");
    let limited = field(info, "maxmemory").is_some_and(|bytes| bytes != "0");
    let to_do = "set `maxmemory-policy noeviction`";
    match (policy.starts_with("allkeys"), limited) {
        (true, true) => {
            Finding::problem("eviction", format!("{policy}: it throws jobs away when its memory is full"), to_do)
        }
        (true, false) => Finding::warning(
            "eviction",
            format!("{policy}: harmless only for as long as `maxmemory` is not set"),
            to_do,
        ),
        (false, _) => Finding::ok("eviction", format!("{policy}: it throws no job away")),
    }
}

fn memory(info: &str) -> Finding {
    let number = |name| field(info, name).and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or(0);
    let human = |name| field(info, name).unwrap_or("unknown");
    let used = human("used_memory_human");
    let (limit, whole, to_do) = match number("maxmemory") {
        0 => (
            number("total_system_memory"),
            format!("{used} used of the {} its machine has; no `maxmemory`", human("total_system_memory_human")),
            "let workers drain it, or give it more memory: the kernel ends a process that has none left",
        ),
        limit => (
            limit,
            format!("{used} used of a `maxmemory` of {}", human("maxmemory_human")),
            "let workers drain it, or raise `maxmemory`",
        ),
    };
    match number("used_memory") {
        used if limit > 0 && used >= limit => {
            Finding::problem("memory", format!("{whole}: it takes no new jobs"), to_do)
        }
        used if limit > 0 && used / FULL_PERCENT >= limit / 100 => Finding::warning("memory", whole, to_do),
        _ => Finding::ok("memory", whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::Level;

    fn settings(fsync: &str, save: &str) -> Option<Settings> {
        Some([("appendfsync".to_owned(), fsync.to_owned()), ("save".to_owned(), save.to_owned())].into())
    }

    #[test]
    fn what_a_crash_may_cost_is_said_in_plain_words() {
        use Level::{Ok, Problem, Warning};
        let (aof, no_aof) = ("aof_enabled:1\r\n", "aof_enabled:0\r\nrdb_changes_since_last_save:7\r\n");
        for (info, settings, level, words) in [
            (aof, settings("always", ""), Ok, "nothing that was acknowledged is lost"),
            (aof, settings("everysec", ""), Ok, "about the last second"),
            (aof, settings("no", ""), Warning, "about the last half minute"),
            (aof, None, Warning, "could not be asked, because this server forbids CONFIG"),
            (no_aof, settings("everysec", ""), Warning, "loses every job and every result"),
            (no_aof, settings("everysec", "3600 1"), Warning, "since the last one, now 7 changes"),
            (no_aof, None, Warning, "whether snapshots are made could not be asked"),
            ("aof_enabled:1\r\naof_last_write_status:err\r\n", settings("always", ""), Problem, "failed"),
            ("aof_enabled:0\r\nrdb_last_bgsave_status:err\r\n", None, Problem, "failed"),
        ] {
            let finding = persistence(info, settings.as_ref());
            assert!(finding.level == level && finding.found.contains(words), "{finding:?} is not {level:?}: {words}");
            assert_eq!(finding.to_do.is_none(), level == Ok, "{finding:?}");
        }
    }

    #[test]
    fn what_a_failover_may_cost_is_said_where_there_are_replicas() {
        let least = |least: &str| Settings::from([("min-replicas-to-write".to_owned(), least.to_owned())]);
        for (info, settings, level) in [
            ("connected_slaves:0\r\n", None, Level::Ok),
            ("connected_slaves:2\r\n", None, Level::Warning),
            ("connected_slaves:2\r\n", Some(least("0")), Level::Warning),
            ("connected_slaves:2\r\n", Some(least("1")), Level::Ok),
        ] {
            assert_eq!(replicas(info, settings.as_ref()).level, level, "{info} {settings:?}");
        }
    }

    #[test]
    fn of_several_servers_the_worst_is_told_with_its_name() {
        let (fine, full) = (Finding::ok("memory", "1 MiB"), Finding::problem("memory", "none left", "drain it"));
        assert_eq!(worst(vec![(None, [fine.clone()])]), std::slice::from_ref(&fine));
        let told = worst(vec![(Some("a:1"), [fine.clone()]), (Some("b:2"), [full.clone()]), (Some("c:3"), [fine])]);
        assert_eq!(told, [Finding { found: "b:2: none left".to_owned(), ..full }]);
    }

    #[test]
    fn a_server_that_throws_jobs_away_or_is_full_is_named() {
        use Level::{Ok, Problem, Warning};
        for (policy, limit, used, evicts, fills) in [
            ("noeviction", 0, 10, Ok, Ok),
            ("noeviction", 100, 10, Ok, Ok),
            ("volatile-lru", 1_000, 860, Ok, Warning),
            ("noeviction", 100, 100, Ok, Problem),
            ("allkeys-lru", 0, 10, Warning, Ok),
            ("allkeys-lfu", 1_000, 10, Problem, Ok),
            ("noeviction", 0, 950, Ok, Warning),
        ] {
            let info = format!(
                "maxmemory_policy:{policy}\r\nmaxmemory:{limit}\r\nused_memory:{used}\r\ntotal_system_memory:1000\r\n"
            );
            assert_eq!((eviction(&info).level, memory(&info).level), (evicts, fills), "{info}");
        }
    }

    #[test]
    fn a_replica_and_an_old_server_are_problems() {
        assert_eq!(role("role:slave\r\nmaster_host:x\r\n").level, Level::Problem);
        assert_eq!(role("role:master\r\n").level, Level::Ok);
        assert_eq!(version("redis_version:6.2.1\r\n", "redis://there").level, Level::Problem);
        assert_eq!(version("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n", "there").found, "Valkey 8.0.1");
    }
}
