//! Files that are not ours, damaged, locked, or full of what has passed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use afresh_queue::sqlite::SqliteBroker;
use afresh_queue::{Broker, BrokerError, Clock, Inspect, JobId, NewJob, Settled, State};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::subject::{complete, id, job, request, settle};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    (folder, file)
}

async fn open(path: &Path) -> Result<SqliteBroker, BrokerError> {
    SqliteBroker::open(path, Clock::Broker).await
}

/// Opening it must fail for good, with a sentence that names the file and gives this reason.
async fn assert_unusable(path: &Path, reason: &str) {
    let error = open(path).await.err().expect("it can be opened");
    assert!(matches!(error, BrokerError::Unusable(_)), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(reason) && said.contains(path.file_name().unwrap().to_str().unwrap()), "{said}");
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let (_folder, file) = folder();
    let text = "not a database, but somebody's diary\n".repeat(100);
    std::fs::write(&file, &text).unwrap();
    assert_unusable(&file, "is not a file of Afresh").await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    let (_folder, file) = folder();
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE diary (page TEXT)").unwrap();
    assert_unusable(&file, "is a database of another program").await;
    let tables: i64 =
        Connection::open(&file).unwrap().query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let (_folder, file) = folder();
    drop(open(&file).await.unwrap());
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert_unusable(&file, "written by a newer Afresh (its version is 99").await;
}

#[tokio::test]
async fn a_file_that_a_newer_version_takes_over_while_it_is_open_is_written_no_more() {
    let (_folder, file) = folder();
    let broker = open(&file).await.unwrap();
    broker.enqueue(vec![job("a")]).await.unwrap();
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = broker.lease(&request("default", 1)).await.unwrap_err();
    assert!(
        matches!(&error, BrokerError::Unusable(said) if said.contains("taken over by a newer Afresh")),
        "{error:?}"
    );
    assert_eq!(broker.job(&id("a")).await.unwrap().unwrap().state, State::Queued);
}

#[tokio::test]
async fn a_file_of_the_first_version_is_taken_to_this_one_with_its_jobs() {
    let (_folder, file) = folder();
    let old = Connection::open(&file).unwrap();
    old.execute_batch(include_str!("../../../src/sqlite/schema/1.sql")).unwrap();
    old.execute_batch(
        r#"PRAGMA application_id = 0x61667273; PRAGMA user_version = 1;
         INSERT INTO queues (name, last_place) VALUES ('default', 1);
         INSERT INTO jobs (job, id, queue, task, state, priority, place, options, payload_bytes, enqueued_at, run_at, history)
             VALUES (1, 'old', 'default', 't', 'queued', 0, 1, '{}', 3, 0, 0, CAST('[{"number": 1, "worker": "w",
                 "finished_at": "2026-11-24T00:00:00.000001Z", "outcome": "failed"}]' AS BLOB));
         INSERT INTO payloads VALUES (1, x'616263');"#,
    )
    .unwrap();
    drop(old);
    let broker = open(&file).await.unwrap();
    broker.enqueue(vec![job("new")]).await.unwrap();
    let leases = broker.lease(&request("default", 9)).await.unwrap();
    let found: Vec<_> = leases.iter().map(|lease| (lease.job.id.as_str(), lease.job.payload.as_slice())).collect();
    assert_eq!(found, [("old", &b"abc"[..]), ("new", b"payload of new")]);
    assert_eq!(leases[0].job.history.attempts()[0].worker, "w");
    drop(broker);
    open(&file).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_restored_from_a_copy_gives_no_token_again() {
    let (folder, file) = folder();
    let broker = open(&file).await.unwrap();
    broker.enqueue(vec![job("a")]).await.unwrap();
    let copy = folder.path().join("copy.db");
    let other = Connection::open(&file).unwrap();
    other.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let lost = broker.lease(&request("default", 1)).await.unwrap().remove(0);
    // Under the worker's feet, as SQLite's own `.restore` does it.
    other.execute("ATTACH ?1 AS copy", [copy.to_str().unwrap()]).unwrap();
    other
        .execute_batch(
            "BEGIN; DELETE FROM jobs; DELETE FROM queues;
             INSERT INTO queues SELECT * FROM copy.queues; INSERT INTO jobs SELECT * FROM copy.jobs;
             INSERT INTO payloads SELECT * FROM copy.payloads; COMMIT",
        )
        .unwrap();

    let second = open(&file).await.unwrap();
    let lease = second.lease(&request("default", 1)).await.unwrap().remove(0);
    assert_eq!(lease.job, lost.job, "the file knows of no lease before this one");
    let done = |lease| settle(lease, complete("", Duration::from_secs(9)));
    assert_eq!(broker.settle(&[done(&lost)]).await.unwrap(), [Settled::Stale]);
    assert_eq!(second.settle(&[done(&lease)]).await.unwrap(), [Settled::Done]);
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_refused() {
    let (folder, file) = folder();
    assert_unusable(folder.path(), "cannot be opened").await;
    std::fs::write(&file, "").unwrap();
    let error = open(&file.join("jobs.db")).await.err().expect("a file is no folder");
    assert!(matches!(&error, BrokerError::Unusable(said) if said.contains("the folder")), "{error:?}");
}

#[tokio::test]
async fn a_damaged_file_is_called_damaged() {
    let (_folder, file) = folder();
    let broker = open(&file).await.unwrap();
    broker.enqueue((0..1_000).map(|n| job(&format!("job-{n}"))).collect()).await.unwrap();
    drop(broker);
    // The last connection's end folds the log into the file; it may be a moment away.
    assert!(afresh_harness::wait_until(afresh_harness::SOON, || !file.with_extension("db-wal").exists()));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let error = match open(&file).await {
        Ok(broker) => broker.lease(&request("default", 9)).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(&error, BrokerError::Unusable(said) if said.contains("is damaged")), "{error:?}");
}

#[tokio::test]
async fn a_file_that_another_process_keeps_locked_is_worth_another_try() {
    let (_folder, file) = folder();
    let broker = open(&file).await.unwrap();
    let mut other = Connection::open(&file).unwrap();
    let lock = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let error = broker.enqueue(vec![job("a")]).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unavailable(_)) && error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("locked by another process"), "{error}");
    assert_eq!(broker.job(&id("a")).await.unwrap(), None, "reading goes on meanwhile");
    lock.commit().unwrap();
    assert!(broker.enqueue(vec![job("a")]).await.unwrap()[0].created);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_does_not_block_its_queue() {
    let (_folder, file) = folder();
    let broker = open(&file).await.unwrap();
    broker.enqueue(vec![job("bad"), job("good")]).await.unwrap();
    Connection::open(&file).unwrap().execute("UPDATE jobs SET options = 'nonsense' WHERE id = 'bad'", []).unwrap();
    let leases = broker.lease(&request("default", 9)).await.unwrap();
    assert_eq!(leases.iter().map(|lease| lease.job.id.as_str()).collect::<Vec<_>>(), ["good"]);
    let bad = broker.job(&id("bad")).await.unwrap().unwrap();
    assert_eq!((bad.state, bad.finished_at.is_some()), (State::Dead, true));
}

#[tokio::test]
async fn a_file_does_not_grow_with_the_jobs_that_have_passed() {
    let (_folder, file) = folder();
    let broker = open(&file).await.unwrap();
    let mut sizes = Vec::new();
    for _ in 0..30 {
        let jobs = (0..100).map(|_| NewJob::new("t", vec![7; 2_000]).id(JobId::fresh())).collect();
        broker.enqueue(jobs).await.unwrap();
        let leases = broker.lease(&request("default", 100)).await.unwrap();
        let done: Vec<_> = leases.iter().map(|lease| settle(lease, complete("", Duration::ZERO))).collect();
        broker.settle(&done).await.unwrap();
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        sizes.push(size(&file) + size(&file.with_extension("db-wal")));
    }
    let (early, late) = (sizes[14], sizes[29]);
    assert!(late <= early + 256 * 1024, "it grew from {early} to {late} bytes: {sizes:?}");
}

#[tokio::test]
async fn a_call_that_fails_does_not_fail_those_beside_it() {
    let (_folder, file) = folder();
    let broker = Arc::new(open(&file).await.unwrap());
    broker.enqueue(vec![job("bad").queue("broken")]).await.unwrap();
    let mut other = Connection::open(&file).unwrap();
    other.execute("UPDATE jobs SET id = 'not an id'", []).unwrap();
    // While another process holds the lock, calls gather; then they share one transaction.
    let lock = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let calls: Vec<_> = (0..30)
        .map(|n| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move {
                if n % 10 == 5 {
                    broker.lease(&request("broken", 1)).await.map(drop)
                } else {
                    broker.enqueue(vec![job(&n.to_string())]).await.map(drop)
                }
            })
        })
        .collect();
    // Every call has been handed over once each task has run.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    lock.commit().unwrap();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().is_err(), n % 10 == 5, "call {n}");
    }
    assert_eq!(broker.lease(&request("default", 99)).await.unwrap().len(), 27);
}
