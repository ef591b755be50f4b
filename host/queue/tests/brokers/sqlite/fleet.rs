//! What workers leave behind in the file: nothing.

use std::time::Duration;

use afresh_queue::fleet::KEEP_GONE;
use afresh_queue::sqlite::SqliteBroker;
use afresh_queue::{Checkup, Clock, Fleet, WorkerInfo};
use rusqlite::Connection;

use crate::subject::START;

#[tokio::test]
async fn workers_that_ended_or_were_forgotten_leave_no_row_and_nor_does_a_checkup() {
    let folder = tempfile::tempdir().unwrap();
    let (file, clock) = (folder.path().join("jobs.db"), Clock::manual(START));
    let broker = SqliteBroker::open(&file, clock.clone()).await.unwrap();
    let announce = async |name: String| {
        broker.announce(&WorkerInfo { name, ..WorkerInfo::default() }, Duration::from_secs(15)).await.unwrap();
    };
    let view = Connection::open(&file).unwrap();
    let kept = || view.query_row("SELECT count(*) FROM workers", [], |row| row.get::<_, i64>(0)).unwrap();
    for number in 0..50 {
        announce(format!("killed-{number}")).await;
    }
    assert_eq!(kept(), 50);
    clock.advance(KEEP_GONE + Duration::from_secs(15));
    announce("last".to_owned()).await;
    assert_eq!(kept(), 1);
    broker.checkup().await.unwrap();
    assert_eq!(kept(), 1);
    broker.withdraw("last").await.unwrap();
    assert_eq!(kept(), 0);
}
