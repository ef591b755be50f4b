//! Several processes on one file: side by side, killed in the middle, and at the end of the disk. The other process is
//! this test binary itself, run again for one ignored test.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use afresh_queue::sqlite::SqliteBroker;
use afresh_queue::{Broker, BrokerError, Clock, Inspect, JobFilter, NewJob, Settled, State};

use crate::subject::{complete, id, request, settle};

/// What tells the other process what to do, and where.
const ROLE: &str = "AFRESH_TEST_ROLE";
const FILE: &str = "AFRESH_TEST_FILE";

const HOUR: Duration = Duration::from_secs(3600);

/// Another process on the same file, and the lines it prints.
struct Other {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(role: &str, file: &Path) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), role, file)
    }

    fn start_by(mut command: Command, role: &str, file: &Path) -> Self {
        let mut child = command
            .args(["--ignored", "--exact", "sqlite::processes::the_other_process", "--nocapture"])
            .env(ROLE, role)
            .env(FILE, file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next thing it reports: a word, and what it is about. `None` once it has ended.
    fn report(&mut self) -> Option<(String, String)> {
        loop {
            // The last line may be cut short by a kill.
            let line = self.lines.next()?.ok()?;
            if let Some((word, what)) = line.strip_prefix("> ").and_then(|line| line.split_once(' ')) {
                return Some((word.to_owned(), what.to_owned()));
            }
        }
    }

    /// Ends it as `kill -9` does; answers what it had still reported.
    fn kill(mut self) -> Vec<(String, String)> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.report()).collect()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn report(word: &str, what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n> {word} {what}").and_then(|()| out.flush()).unwrap();
}

async fn open(path: &Path) -> SqliteBroker {
    SqliteBroker::open(path, Clock::Broker).await.unwrap()
}

#[tokio::test]
#[ignore = "the other half of the tests below, which start it"]
async fn the_other_process() {
    let (role, file) = (std::env::var(ROLE).unwrap(), std::env::var(FILE).unwrap());
    let broker = open(Path::new(&file)).await;
    match role.as_str() {
        "produce" => produce(&broker, 100).await,
        "produce once" => produce(&broker, 1).await,
        "work" => work(&broker).await,
        "fill" => fill(&broker).await,
        _ => panic!("{role} is no role"),
    }
}

async fn produce(broker: &SqliteBroker, jobs: usize) {
    for _ in 0..jobs {
        let enqueued = broker.enqueue(vec![NewJob::new("t", vec![1; 100])]).await.unwrap();
        report("enqueued", &enqueued[0].id);
    }
}

/// Enqueues, leases and settles for ever, and reports each thing after it was acknowledged.
async fn work(broker: &SqliteBroker) {
    loop {
        let enqueued = broker.enqueue((0..5).map(|_| NewJob::new("t", vec![1; 500])).collect()).await.unwrap();
        enqueued.iter().for_each(|job| report("enqueued", &job.id));
        let leases = broker.lease(&request("default", 4)).await.unwrap();
        leases.iter().for_each(|lease| report("leased", &lease.job.id));
        let done: Vec<_> = leases.iter().skip(1).map(|lease| settle(lease, complete("reply", HOUR))).collect();
        let settled = broker.settle(&done).await.unwrap();
        assert!(settled.iter().all(|settled| *settled == Settled::Done));
        done.iter().for_each(|settle| report("succeeded", &settle.lease.id));
    }
}

async fn fill(broker: &SqliteBroker) {
    let refused = loop {
        match broker.enqueue(vec![NewJob::new("t", vec![1; 20_000])]).await {
            Ok(enqueued) => report("enqueued", &enqueued[0].id),
            Err(BrokerError::Refused(said)) => break said,
            Err(other) => panic!("{other:?}"),
        }
    };
    report("refused", refused);
    assert!(broker.queues().await.unwrap()[0].queued > 0, "reading goes on");
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    let mut reports = Vec::new();
    for round in 1..=4 {
        let mut other = Other::start("work", &file);
        while reports.len() < round * 60 {
            reports.push(other.report().expect("it works until it is killed"));
        }
        reports.extend(other.kill());
        let broker = open(&file).await;
        for (word, name) in &reports {
            let job = broker.job(&id(name)).await.unwrap().unwrap_or_else(|| panic!("{name} was {word}, and is gone"));
            match word.as_str() {
                "enqueued" => assert_eq!(job.payload_bytes, 500),
                "leased" => assert!(job.attempts_started == 1 && job.state != State::Queued, "{job:?}"),
                "succeeded" => {
                    assert_eq!(job.state, State::Succeeded);
                    assert_eq!(broker.result(&id(name)).await.unwrap(), Some(b"reply".to_vec()));
                }
                other => panic!("{other}"),
            }
        }
        broker.enqueue(vec![NewJob::new("t", "after the crash")]).await.unwrap();
    }
}

#[tokio::test]
async fn several_processes_share_one_file_and_no_job_runs_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    // Nobody has made the file yet: all of them try at once.
    let mut others: Vec<_> = (0..3).map(|_| Other::start("produce", &file)).collect();
    let broker = open(&file).await;
    let mut got = Vec::new();
    let deadline = Instant::now() + afresh_harness::SOON * 3;
    while got.len() < 300 {
        assert!(Instant::now() < deadline, "only {} of 300 jobs came", got.len());
        let leases = broker.lease(&request("default", 7)).await.unwrap();
        if leases.is_empty() {
            broker.wait(&["default".into()], Duration::from_secs(1)).await;
        }
        got.extend(leases.into_iter().map(|lease| lease.job.id.to_string()));
    }
    let sent: BTreeSet<_> =
        others.iter_mut().flat_map(|other| std::iter::from_fn(|| other.report())).map(|(_, name)| name).collect();
    assert_eq!(got.iter().cloned().collect::<BTreeSet<_>>(), sent);
    assert_eq!((got.len(), sent.len()), (300, 300));
}

#[tokio::test]
async fn a_wait_ends_when_another_process_enqueues() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    let broker = open(&file).await;
    for round in 1..=2 {
        let began = Instant::now();
        let _other = Other::start("produce once", &file);
        broker.wait(&["default".into()], afresh_harness::SOON * 3).await;
        assert!(began.elapsed() < afresh_harness::SOON, "the wait took {:?}", began.elapsed());
        assert_eq!(broker.lease(&request("default", 9)).await.unwrap().len(), 1, "in round {round}");
    }
}

#[tokio::test]
async fn a_full_disk_is_refused_with_a_sentence_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    drop(open(&file).await);
    // A limit on the size of files stands in for a full disk: it needs no rights, and ends a write in the same place.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let mut other = Other::start_by(limited, "fill", &file);
    let reports: Vec<_> = std::iter::from_fn(|| other.report()).collect();
    assert!(other.child.wait().unwrap().success());
    let (refused, enqueued) = reports.split_last().expect("it reports");
    assert_eq!(refused.0, "refused");
    assert!(refused.1.contains("jobs.db cannot grow") && refused.1.contains("disk"), "{}", refused.1);
    assert!(enqueued.len() > 10, "only {} jobs fit", enqueued.len());

    let broker = open(&file).await;
    let kept = broker.jobs(&JobFilter { limit: usize::MAX, ..JobFilter::default() }).await.unwrap();
    let kept: BTreeSet<_> = kept.into_iter().map(|job| job.id.to_string()).collect();
    assert_eq!(kept, enqueued.iter().map(|(_, name)| name.clone()).collect(), "acknowledged, and nothing else");
    broker.enqueue(vec![NewJob::new("t", "there is room again")]).await.unwrap();
}
