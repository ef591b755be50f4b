//! Setting and showing rules: each change is one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Result, Row};

use super::SqliteBroker;
use super::limits::{KEYS, QUEUE};
use super::queue::Queue;
use crate::broker::BrokerError;
use crate::control::{Control, Limit, QueueRules, Rate, Rule, Scope};
use afresh_protocol::policy::check_name;

#[async_trait]
impl Control for SqliteBroker {
    async fn set_limit(&self, queue: &str, scope: &Scope, limit: &Limit) -> Result<(), BrokerError> {
        limit.check().map_err(BrokerError::Invalid)?;
        let limit = *limit;
        self.rule(queue, scope, move |rule| rule.limit = limit).await.map(drop)
    }

    async fn set_paused(&self, queue: &str, scope: &Scope, paused: bool) -> Result<bool, BrokerError> {
        self.rule(queue, scope, move |rule| rule.paused = paused).await
    }

    async fn set_fair(&self, queue: &str, fair: bool) -> Result<bool, BrokerError> {
        check_name(queue).map_err(BrokerError::Invalid)?;
        let name = queue.to_owned();
        self.change(move |queues| {
            let queue = queues.of(&name)?;
            // The queue is known from now on.
            queue.row_mut();
            queue.set_fair(fair)
        })
        .await
    }

    async fn rules(&self) -> Result<Vec<QueueRules>, BrokerError> {
        self.store.read(|view, _| rules(view)).await
    }
}

impl SqliteBroker {
    async fn rule(
        &self,
        queue: &str,
        scope: &Scope,
        change: impl Fn(&mut Stored) + Send + 'static,
    ) -> Result<bool, BrokerError> {
        check_name(queue).and_then(|()| scope.check()).map_err(BrokerError::Invalid)?;
        let (queue, name) = (queue.to_owned(), scope.to_string());
        self.change(move |queues| set(queues.of(&queue)?, &name, &change)).await
    }
}

/// A rule as it is stored: what it limits, and whether it pauses.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Stored {
    limit: Limit,
    paused: bool,
}

impl Stored {
    const COLUMNS: &str = "concurrency, interval_us, burst, paused";

    fn read(row: &Row<'_>) -> Result<Self> {
        let interval: i64 = row.get("interval_us")?;
        let burst = row.get("burst")?;
        let rate = (interval > 0).then(|| Rate { every: Duration::from_micros(interval.unsigned_abs()), burst });
        Ok(Self { limit: Limit { concurrency: row.get("concurrency")?, rate }, paused: row.get("paused")? })
    }
}

/// Changes a rule; false if that changes nothing. Counts those that run already.
fn set(queue: &mut Queue<'_>, name: &str, change: &dyn Fn(&mut Stored)) -> Result<bool> {
    // The queue is known from now on.
    queue.row_mut();
    let before = queue
        .file
        .prepare_cached(&format!("SELECT {} FROM limits WHERE queue = ?1 AND name = ?2", Stored::COLUMNS))?
        .query_row((&queue.name, name), Stored::read)
        .optional()?
        .unwrap_or_default();
    let mut after = before;
    change(&mut after);
    // Whole microseconds, as they are stored.
    let (interval, burst) = after.limit.rate.map_or((0, 0), |rate| (rate.every.as_micros() as i64, rate.burst));
    after.limit.rate = (interval > 0).then(|| Rate { every: Duration::from_micros(interval.unsigned_abs()), burst });
    if before == after {
        return Ok(false);
    }
    if after == Stored::default() {
        queue.file.execute("DELETE FROM limits WHERE queue = ?1 AND name = ?2", (&queue.name, name))?;
    } else {
        queue
            .file
            .prepare_cached(
                "INSERT INTO limits (queue, name, concurrency, interval_us, burst, paused)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (queue, name) DO UPDATE SET concurrency = excluded.concurrency,
                     interval_us = excluded.interval_us, burst = excluded.burst, paused = excluded.paused",
            )?
            .execute((&queue.name, name, after.limit.concurrency, interval, burst, after.paused))?;
    }
    queue.forget_rules()?;
    if name != QUEUE && after != Stored::default() {
        count_running(queue, name)?;
    }
    if name == KEYS {
        let keys: Vec<String> = queue
            .file
            .prepare_cached("SELECT name FROM usage WHERE queue = ?1 AND substr(name, 1, 4) = 'key:'")?
            .query_map([&queue.name], |row| row.get(0))?
            .collect::<Result<_>>()?;
        keys.iter().try_for_each(|name| queue.clamp(name))?;
    } else {
        queue.clamp(name)?;
    }
    // What is held may start now.
    if name == QUEUE {
        queue.wake = true;
    } else if name == KEYS {
        look_at_all_keys(queue)?;
    } else if queue.holds_any(name)? {
        queue.look_again(name, queue.now.0)?;
    }
    Ok(true)
}

/// Jobs that run already count under each limit that they are under, once; all of them anew.
fn count_running(queue: &mut Queue<'_>, name: &str) -> Result<()> {
    let running: Vec<(i64, String, Option<String>, Option<String>)> = queue
        .file
        .prepare_cached("SELECT job, task, key, counted FROM jobs WHERE queue = ?1 AND state = 'running'")?
        .query_map([&queue.name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_>>()?;
    let mut write = queue.file.prepare_cached("UPDATE jobs SET counted = ?2 WHERE job = ?1")?;
    let mut found = BTreeMap::new();
    if name != KEYS {
        found.insert(name.to_owned(), 0);
    }
    for (job, task, key, counted) in running {
        let counted = counted.unwrap_or_default();
        let mut names: Vec<&str> = counted.lines().collect();
        let before = names.len();
        let under = queue.limits_of(&task, key.as_deref())?;
        for name in &under {
            *found.entry(name.clone()).or_insert(0) += 1;
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        if names.len() > before {
            write.execute((job, names.join("\n")))?;
        }
    }
    found.into_iter().try_for_each(|(name, count)| queue.set_count(&name, count))
}

fn look_at_all_keys(queue: &mut Queue<'_>) -> Result<()> {
    queue.wake = true;
    queue
        .file
        .prepare_cached(
            "UPDATE usage SET again_at = ?2 WHERE queue = ?1 AND again_at IS NOT NULL AND substr(name, 1, 4) = 'key:'",
        )?
        .execute((&queue.name, queue.now))
        .map(drop)
}

fn rules(view: &Connection) -> Result<Vec<QueueRules>> {
    let mut names = view.prepare_cached(
        "SELECT name, fair_since IS NOT NULL FROM queues
         WHERE fair_since IS NOT NULL OR EXISTS (SELECT 1 FROM limits WHERE queue = queues.name) ORDER BY name",
    )?;
    let mut of_queue = view.prepare_cached(&format!(
        "SELECT name, {}, CASE name WHEN '{QUEUE}'
                 THEN (SELECT count(*) FROM jobs WHERE jobs.queue = limits.queue AND state = 'running')
                 ELSE coalesce((SELECT busy FROM usage WHERE usage.queue = limits.queue AND usage.name = limits.name), 0)
             END AS running,
             (SELECT count(*) FROM jobs WHERE jobs.queue = limits.queue AND held = limits.name) AS held
         FROM limits WHERE queue = ?1",
        Stored::COLUMNS
    ))?;
    let mut all = Vec::new();
    for queue in names.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? {
        let (queue, fair) = queue?;
        let read = |row: &Row<'_>| {
            let Stored { limit, paused } = Stored::read(row)?;
            let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            let scope = Scope::parse(row.get_ref("name")?.as_str()?);
            let (running, held) = (count("running")?, count("held")?);
            Ok(scope.map(|scope| Rule { scope, limit, paused, running, held }))
        };
        // One of an unknown scope was not put there by us.
        let rules: Vec<Option<Rule>> = of_queue.query_map([&queue], read)?.collect::<Result<_>>()?;
        let mut rules: Vec<Rule> = rules.into_iter().flatten().collect();
        rules.sort_by(|a, b| a.scope.cmp(&b.scope));
        // A newer version's records are in a file of a newer version, which this one does not open.
        all.push(QueueRules { queue, fair, rules, newer: 0 });
    }
    Ok(all)
}
