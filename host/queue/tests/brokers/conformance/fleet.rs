//! Who works: what workers say of themselves, and how long it counts.

use std::time::Duration;

use afresh_queue::fleet::{KEEP_GONE, MOST_LISTED};
use afresh_queue::{RunningJob, WorkerInfo, WorkerView};

use crate::subject::{START, Subject, id};

const KEEP: Duration = Duration::from_secs(15);
const SECOND: Duration = Duration::from_secs(1);

fn worker(name: &str) -> WorkerInfo {
    WorkerInfo {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        host: "there\u{1b}[31m".to_owned(),
        pid: 77,
        started_at: START,
        stopping: false,
        queues: vec!["mail=3".to_owned(), "default".to_owned()],
        slots: 4,
        memory_used_bytes: 5 << 30,
        memory_budget_bytes: 6 << 30,
        running_total: 1,
        running: vec![running("a b")],
    }
}

fn running(task: &str) -> RunningJob {
    RunningJob { job: id("order:7"), task: task.to_owned(), queue: "mail".to_owned(), since: START.after(SECOND) }
}

async fn names(s: &Subject) -> Vec<String> {
    s.broker.workers().await.unwrap().into_iter().map(|view| view.info.name).collect()
}

pub(super) async fn a_worker_is_shown_as_it_announced_itself(s: &Subject) {
    assert_eq!(s.broker.workers().await.unwrap(), []);
    s.broker.announce(&worker("w"), KEEP).await.unwrap();
    s.advance(SECOND);
    let shown = s.broker.workers().await.unwrap();
    assert_eq!(shown, [WorkerView { info: worker("w"), last_seen: START, gone: false }]);
    assert!(s.broker.queues().await.unwrap().is_empty(), "it makes no queue");
}

pub(super) async fn a_worker_that_announces_again_is_shown_once_with_its_news(s: &Subject) {
    let late = WorkerInfo { started_at: START.after(SECOND), ..worker("a") };
    s.broker.announce(&late, KEEP).await.unwrap();
    s.broker.announce(&worker("b"), KEEP).await.unwrap();
    s.advance(SECOND);
    let news = WorkerInfo { stopping: true, running_total: 0, running: vec![], ..worker("b") };
    s.broker.announce(&news, KEEP).await.unwrap();
    let shown = s.broker.workers().await.unwrap();
    assert_eq!(shown[0], WorkerView { info: news, last_seen: START.after(SECOND), gone: false });
    assert_eq!((shown.len(), &shown[1].info), (2, &late), "the one that started first is at the top");
}

pub(super) async fn a_worker_that_falls_silent_is_gone_and_later_forgotten(s: &Subject) {
    let gone = async || {
        let shown = s.broker.workers().await.unwrap();
        shown.iter().map(|view| (view.info.name.clone(), view.gone)).collect::<Vec<_>>()
    };
    s.broker.announce(&worker("w"), KEEP).await.unwrap();
    s.advance(KEEP - SECOND);
    assert_eq!(gone().await, [("w".to_owned(), false)]);
    s.advance(SECOND);
    assert_eq!(gone().await, [("w".to_owned(), true)]);
    s.advance(KEEP_GONE - SECOND);
    s.broker.announce(&worker("x"), KEEP).await.unwrap();
    assert_eq!(gone().await, [("w".to_owned(), true), ("x".to_owned(), false)]);
    s.advance(SECOND);
    assert_eq!(gone().await, [("x".to_owned(), false)]);
    // What is forgotten is swept away by whoever announces next, and may come back.
    s.broker.announce(&worker("x"), KEEP).await.unwrap();
    s.broker.announce(&worker("w"), KEEP).await.unwrap();
    assert_eq!(gone().await, [("w".to_owned(), false), ("x".to_owned(), false)]);
}

pub(super) async fn a_worker_that_withdraws_is_shown_no_more(s: &Subject) {
    for name in ["a", "b"] {
        s.broker.announce(&worker(name), KEEP).await.unwrap();
    }
    s.broker.withdraw("a").await.unwrap();
    assert_eq!(names(s).await, ["b"]);
    s.broker.withdraw("nobody").await.unwrap();
    assert_eq!(names(s).await, ["b"]);
}

pub(super) async fn a_long_list_of_running_jobs_is_cut(s: &Subject) {
    let many = WorkerInfo { running_total: 1_000, running: vec![running("t"); 1_000], ..worker("w") };
    s.broker.announce(&many, KEEP).await.unwrap();
    let shown = s.broker.workers().await.unwrap().remove(0).info;
    assert_eq!((shown.running.len(), shown.running_total), (MOST_LISTED, 1_000));
}
