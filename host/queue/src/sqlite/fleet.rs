//! Workers in the file: one row each.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, Result, Transaction};

use super::SqliteBroker;
use crate::broker::BrokerError;
use crate::clock::Timestamp;
use crate::fleet::{self, Announced, Fleet, KEEP_GONE, WorkerInfo, WorkerView};

#[async_trait]
impl Fleet for SqliteBroker {
    async fn announce(&self, worker: &WorkerInfo, keep: Duration) -> std::result::Result<(), BrokerError> {
        let (name, info) = (worker.name.clone(), worker.encode());
        self.store.write(move |file, now| announce(file, now, &name, &info, now.after(keep))).await
    }

    async fn withdraw(&self, name: &str) -> std::result::Result<(), BrokerError> {
        let name = name.to_owned();
        let forget = "DELETE FROM workers WHERE name = ?1";
        self.store.write(move |file, _| file.prepare_cached(forget)?.execute([&name]).map(drop)).await
    }

    async fn workers(&self) -> std::result::Result<Vec<WorkerView>, BrokerError> {
        self.store.read(workers).await
    }
}

fn announce(file: &Transaction<'_>, now: Timestamp, name: &str, info: &str, until: Timestamp) -> Result<()> {
    file.prepare_cached("INSERT OR REPLACE INTO workers (name, info, seen_at, until) VALUES (?1, ?2, ?3, ?4)")?
        .execute((name, info, now, until))?;
    file.prepare_cached("DELETE FROM workers WHERE until <= ?1")?
        .execute([Timestamp(now.0.saturating_sub(KEEP_GONE.as_micros() as i64))])
        .map(drop)
}

fn workers(view: &Connection, now: Timestamp) -> Result<Vec<WorkerView>> {
    let mut all = view.prepare_cached("SELECT seen_at, until, info FROM workers")?;
    let rows = all.query_map([], |row| {
        Ok(Announced { seen: row.get(0)?, until: row.get(1)?, info: row.get::<_, String>(2)?.into_bytes() })
    })?;
    Ok(fleet::views(rows.collect::<Result<Vec<_>>>()?, now))
}
