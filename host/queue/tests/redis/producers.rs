//! Producers in other languages: what they hand over with one script call, a worker gets. The producer is an ordinary
//! Python program with the `redis` package of PyPI, `tests/producers/enqueue.py`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use afresh_harness::RedisServer;
use afresh_queue::{Broker, Inspect, JobFilter, JobOptions, Link, State, Timestamp};
use serde_json::{Value, json};

use crate::{broker, complete, request};

const PACKAGE: &str = "redis==8.1.0";

/// A Python that has the package, made once in the target folder.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let made = folder.join(format!("python-{PACKAGE}"));
    if !made.exists() {
        let fresh = tempfile::tempdir_in(folder).unwrap();
        run(Command::new("python3").args(["-m", "venv"]).arg(fresh.path()), "apt-get install python3-venv");
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
        run(Command::new(fresh.path().join("bin/python")).args(pip), "pip needs pypi.org, or a mirror of it");
        // Whole or not at all; a test that runs beside this one may have been first.
        let _ = std::fs::rename(fresh.path(), &made);
    }
    made.join("bin/python")
}

fn run(command: &mut Command, hint: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run ({error}): {hint}"));
    assert!(output.status.success(), "{command:?} failed: {hint}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// What `enqueue.py` makes of these jobs.
fn produce(server: &RedisServer, queue: &str, jobs: &Value) -> Output {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut producer = Command::new(python())
        .arg(here.join("tests/producers/enqueue.py"))
        .args([&server.url()])
        .arg(here.join("src/redis/scripts"))
        .arg(queue)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs");
    producer.stdin.take().unwrap().write_all(jobs.to_string().as_bytes()).unwrap();
    producer.wait_with_output().unwrap()
}

#[tokio::test]
async fn what_python_enqueues_a_worker_gets_byte_for_byte() {
    let server = RedisServer::start();
    let broker = broker(&server);
    let later = Timestamp::now().after(Duration::from_secs(3600));
    // Bytes that are no text in any encoding: 0x00 0xff 0x0a 0x80.
    let jobs = json!([
        { "id": "invoice-1", "task": "mail", "payload": "AP8KgA==", "priority": 3,
          "options": { "max_attempts": 5, "min_backoff_ms": 10, "max_backoff_ms": 20, "timeout_ms": 30, "memory": 65536 } },
        { "id": "invoice-2", "task": "mail" },
        { "id": "invoice-3", "task": "mail", "run_at": later.0 },
    ]);
    for created in [true, false] {
        let output = produce(&server, "post", &jobs);
        assert!(output.status.success(), "{output:?}");
        let said: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        assert!(said.iter().all(|job| job["created"] == created), "idempotent by id: {said:?}");
    }

    let leases = broker.lease(&request("post", 10)).await.unwrap();
    let got: Vec<_> = leases.iter().map(|lease| lease.job.id.as_str()).collect();
    assert_eq!(got, ["invoice-1", "invoice-2"], "the higher priority first, the scheduled one not yet");
    let (first, second) = (&leases[0].job, &leases[1].job);
    assert_eq!((first.task.as_str(), first.payload.as_slice()), ("mail", b"\x00\xff\x0a\x80".as_slice()));
    let options = JobOptions {
        priority: 3,
        max_attempts: Some(5),
        min_backoff_ms: Some(10),
        max_backoff_ms: Some(20),
        timeout_ms: Some(30),
        memory: Some(65_536),
    };
    assert_eq!(first.options, options);
    assert_eq!((second.payload.as_slice(), &second.options), (b"".as_slice(), &JobOptions::default()));

    let scheduled = broker.jobs(&JobFilter { state: Some(State::Scheduled), limit: 9, ..JobFilter::default() }).await;
    assert_eq!(scheduled.unwrap()[0].run_at, later);
    assert_eq!(broker.queues().await.unwrap()[0].queue, "post");
}

/// What `see.py` says of these jobs.
fn see(server: &RedisServer, queue: &str, ids: &[&str]) -> Value {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut watcher = Command::new(python());
    watcher.arg(here.join("tests/producers/see.py")).arg(server.url()).arg(here.join("src/redis/scripts"));
    let output = watcher.arg(queue).args(ids).output().expect("Python runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn what_became_of_a_job_python_sees_however_its_record_is_kept() {
    let server = RedisServer::start();
    let broker = broker(&server);
    let with_a_key = json!({ "key": "customer:42" });
    let jobs = json!([{ "id": "short", "task": "t" }, { "id": "hash", "task": "t", "options": with_a_key }]);
    produce(&server, "post", &jobs);
    let ids = ["short", "hash", "gone"];
    let seen = |state: &str, reply: Option<&str>| json!({ "state": state, "reply": reply });
    let gone = json!({ "state": null, "reply": null });
    assert_eq!(see(&server, "post", &ids), json!([seen("queued", None), seen("queued", None), gone]));
    let leases = broker.lease(&request("post", 9)).await.unwrap();
    assert_eq!(see(&server, "post", &ids), json!([seen("running", None), seen("running", None), gone]));
    broker.settle(&leases.iter().map(complete).collect::<Vec<_>>()).await.unwrap();
    let reply = Some("ZG9uZQ==");
    assert_eq!(see(&server, "post", &ids), json!([seen("succeeded", reply), seen("succeeded", reply), gone]));
}

#[tokio::test]
async fn what_python_asks_for_besides_is_heeded() {
    let server = RedisServer::start();
    let broker = broker(&server);
    let soon = Timestamp::now().after(Duration::from_secs(3600));
    let options =
        json!({ "key": "customer:42", "unique_key": "invoice/1", "unique": "unfinished", "expires_at": soon.0 });
    let jobs =
        json!([{ "id": "a", "task": "mail", "options": options }, { "id": "b", "task": "mail", "options": options }]);
    let said: Vec<Value> = serde_json::from_slice(&produce(&server, "post", &jobs).stdout).unwrap();
    assert_eq!(said, [json!({ "id": "a", "created": true }), json!({ "id": "a", "created": false })]);
    let job = broker.job(&"a".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((job.key.as_deref(), job.unique_key.as_deref()), (Some("customer:42"), Some("invoice/1")));
    assert_eq!(job.expires_at, Some(soon));
}

#[tokio::test]
async fn what_python_wants_to_follow_follows() {
    let server = RedisServer::start();
    let broker = broker(&server);
    let then = json!([
        { "id": "b", "task": "mail", "priority": 3, "key": "a\"\\é", "max_attempts": 5.0, "memory": 1_u64 << 40 },
        { "id": "c", "task": "log" },
    ]);
    let jobs = json!([{ "id": "a", "task": "mail", "options": { "then": then } }]);
    assert!(produce(&server, "post", &jobs).status.success());
    let job = broker.job(&"a".parse().unwrap()).await.unwrap().unwrap();
    let options = JobOptions { priority: 3, max_attempts: Some(5), memory: Some(1 << 40), ..JobOptions::default() };
    let second = Link { key: Some("a\"\\é".into()), options, ..Link::new("b".parse().unwrap(), "mail") };
    assert_eq!(job.then, [second, Link::new("c".parse().unwrap(), "log")]);
}

#[tokio::test]
async fn a_malformed_call_is_refused_with_a_sentence_and_enqueues_nothing() {
    let server = RedisServer::start();
    let broker = broker(&server);
    for (job, reason) in [
        (json!({ "id": "", "task": "t" }), "its id must be 1 to 128"),
        (json!({ "id": "a b", "task": "t" }), "its id must be 1 to 128"),
        (json!({ "id": "a".repeat(129), "task": "t" }), "its id must be 1 to 128"),
        (json!({ "task": "" }), "its task must be 1 to 128"),
        (json!({ "task": ".hidden" }), "its task must be 1 to 128"),
        (json!({ "task": "../t" }), "its task must be 1 to 128"),
        (json!({ "task": "t", "run_at": "tomorrow" }), "its run_at must be whole microseconds"),
        (json!({ "task": "t", "run_at": 1.5 }), "its run_at must be whole microseconds"),
        (json!({ "task": "t", "run_at": "99999999999999999999" }), "its run_at must be whole microseconds"),
        (json!({ "task": "t", "priority": 1001 }), "its priority must be from -1000 to 1000"),
        (json!({ "task": "t", "priority": "high" }), "its priority must be from -1000 to 1000"),
        (json!({ "task": "t", "options": [1] }), "its options must be a JSON object"),
        (json!({ "task": "t", "options": { "timeout_ms": "long" } }), "`timeout_ms` must be a whole number"),
        (json!({ "task": "t", "options": { "max_attempts": 0 } }), "`max_attempts` must be a whole number"),
        (json!({ "task": "t", "options": { "retries": 5 } }), "`retries` is not one of"),
        (json!({ "task": "t", "options": { "key": "a b" } }), "`key` must be 1 to 128 bytes without white space"),
        (json!({ "task": "t", "options": { "key": "x".repeat(129) } }), "`key` must be 1 to 128 bytes"),
        (json!({ "task": "t", "options": { "key": 42 } }), "`key` must be 1 to 128 bytes"),
        (
            json!({ "task": "t", "options": { "unique_key": "a" } }),
            "`unique_key` needs one of `unique` and `unique_for_ms`",
        ),
        (json!({ "task": "t", "options": { "unique_key": "a", "unique": "ever" } }), "must be queued or unfinished"),
        (
            json!({ "task": "t", "options": { "unique_key": "a", "unique": "queued", "unique_for_ms": 1 } }),
            "`unique_key` needs one of",
        ),
        (json!({ "task": "t", "options": { "unique": "queued" } }), "need a `unique_key`"),
        (json!({ "task": "t", "options": { "expires_at": -1 } }), "`expires_at` must be a whole number"),
        (json!({ "task": "t", "options": { "then": [] } }), "`then` must be an array of 1 to 100 jobs"),
        (json!({ "task": "t", "options": { "then": { "id": "a", "task": "t" } } }), "`then` must be an array"),
        (json!({ "task": "t", "options": { "then": ["t"] } }), "job 1 of its option `then`: it must be a JSON object"),
        (json!({ "task": "t", "options": { "then": [{ "task": "t" }] } }), "it needs an `id` and a `task`"),
        (json!({ "task": "t", "options": { "then": [{ "id": "a", "task": "../t" }] } }), "its task must be 1 to 128"),
        (
            json!({ "task": "t", "options": { "then": [{ "id": "a", "task": "t", "priority": "high" }] } }),
            "its priority must be from -1000 to 1000",
        ),
        (
            json!({ "task": "t", "options": { "then": [{ "id": "a", "task": "t", "expires_at": 1 }] } }),
            "`expires_at` is not one of a job that follows",
        ),
        (
            json!({ "id": "a", "task": "t", "options": { "then": [{ "id": "a", "task": "t" }] } }),
            "the job a comes after itself",
        ),
    ] {
        let output = produce(&server, "post", &json!([{ "task": "fine" }, job]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{job} was accepted");
        assert!(said.starts_with("INVALID job 2 of 2: ") && said.contains(reason), "{job}: {said}");
    }
    assert!(broker.jobs(&JobFilter { limit: 9, ..JobFilter::default() }).await.unwrap().is_empty());

    for call in [
        "EVALSHA {sha} 1 a now",
        "EVALSHA {sha} 2 a b 0 id task payload 0 0",
        "EVALSHA {sha} 1 a 0 id task payload 0 0",
    ] {
        let answer = server.command(&call.replace("{sha}", &loaded(&server)));
        assert!(answer.starts_with("-INVALID give the queue as the key"), "{call}: {answer}");
    }
}

/// The digest of the script, which Python has loaded.
fn loaded(server: &RedisServer) -> String {
    let parts = [
        include_str!("../../src/redis/scripts/common.lua"),
        include_str!("../../src/redis/scripts/accept.lua"),
        include_str!("../../src/redis/scripts/enqueue.lua"),
    ];
    let digest = redis::Script::new(&format!("#!lua\n{}", parts.concat())).get_hash().to_owned();
    let exists = server.command(&format!("SCRIPT EXISTS {digest}"));
    assert!(exists.contains(":1"), "the script is not loaded: {exists}");
    digest
}
