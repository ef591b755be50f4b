//! Short records: a job that asks for nothing has no hash of its own, until something is done with it that needs one; and
//! nobody can tell by what the broker answers.

use std::time::Duration;

use afresh_harness::RedisServer;
use afresh_protocol::OutcomeKind;
use afresh_queue::redis::RedisBroker;
use afresh_queue::{
    Beat, Broker, Cancelled, Clock, Control, Extended, Inspect, JobId, JobLog, JobOptions, Lease, LeaseRef, Limit,
    Link, NewJob, Note, Retention, Scope, Settle, Settled, Settlement, State, Timestamp,
};

use crate::{LEASE, complete, records, request, settle};

/// The most bytes of a payload, and of history and reply with what stands before them (`common.lua`).
const SHORT: usize = 2048;

struct Site {
    server: RedisServer,
    clock: Clock,
    broker: RedisBroker,
}

fn site() -> Site {
    let (server, clock) = (RedisServer::start(), Clock::manual(Timestamp(1_000_000_000_000)));
    let broker = RedisBroker::new(&server.url(), clock.clone()).unwrap();
    Site { server, clock, broker }
}

fn id(name: &str) -> JobId {
    name.parse().unwrap()
}

fn job(name: &str) -> NewJob {
    NewJob::new("t", "payload").id(id(name))
}

impl Site {
    async fn lease(&self, max: usize) -> Vec<Lease> {
        self.broker.lease(&request("default", max)).await.unwrap()
    }

    async fn state(&self, name: &str) -> State {
        self.broker.job(&id(name)).await.unwrap().unwrap().state
    }

    /// Whether the job's record is a hash of its own.
    fn has_hash(&self, name: &str) -> bool {
        records(&self.server).contains(&format!("afresh:{{default}}:job:{name}"))
    }

    async fn promote(&self) {
        self.broker.promote(&["default".to_owned()], &Retention::default()).await.unwrap();
    }
}

fn done(lease: &Lease, reply: &[u8]) -> Settle {
    settle(lease, Settlement::Complete { reply: reply.to_vec(), keep: Duration::from_secs(60) })
}

#[tokio::test]
async fn a_job_that_succeeds_at_once_never_has_a_hash_and_nothing_is_left_of_it() {
    let site = site();
    site.broker.enqueue(vec![job("a")]).await.unwrap();
    assert_eq!(records(&site.server), ["afresh:{default}:short"]);
    assert_eq!(site.broker.payload(&id("a")).await.unwrap().as_deref(), Some(&b"payload"[..]));
    let leases = site.lease(1).await;
    assert_eq!(records(&site.server), ["afresh:{default}:leased", "afresh:{default}:short"]);
    let running = site.broker.job(&id("a")).await.unwrap().unwrap();
    assert_eq!((running.state, running.attempts_started, running.payload_bytes), (State::Running, 1, 7));
    let beat = [Beat { lease: leases[0].reference(), begun: true }];
    assert_eq!(site.broker.extend(&beat, LEASE).await.unwrap(), [Extended::Held]);
    // Neither another token nor the beginning of the right one.
    for token in [leases[0].token + 1, leases[0].token / 10] {
        let other = LeaseRef { token, ..leases[0].reference() };
        let stale = Settle { lease: other, ..done(&leases[0], b"stale") };
        assert_eq!(site.broker.settle(&[stale]).await.unwrap(), [Settled::Stale]);
    }
    assert_eq!(site.broker.settle(&[done(&leases[0], b"reply")]).await.unwrap(), [Settled::Done]);
    assert_eq!(records(&site.server), ["afresh:{default}:ended", "afresh:{default}:short"]);
    let ended = site.broker.job(&id("a")).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.result_bytes, ended.finished_at), (State::Succeeded, Some(5), site.clock.fixed()));
    assert_eq!(site.broker.extend(&beat, LEASE).await.unwrap(), [Extended::Lost]);
    assert_eq!(site.broker.settle(&[done(&leases[0], b"again")]).await.unwrap(), [Settled::Stale]);
    assert_eq!(site.broker.result(&id("a")).await.unwrap().as_deref(), Some(&b"reply"[..]));
    assert!(!site.broker.enqueue(vec![job("a")]).await.unwrap()[0].created, "its id is taken as long as it is kept");
    site.clock.advance(Duration::from_secs(60));
    site.promote().await;
    assert_eq!(records(&site.server), Vec::<String>::new());
    assert!(site.broker.enqueue(vec![job("a")]).await.unwrap()[0].created);
}

#[tokio::test]
async fn payload_and_reply_come_back_whatever_they_are_and_however_long() {
    let site = site();
    let awkward: [&[u8]; 7] = [b"", b" ", b"1 2 3", b"\n", b"\0\xff\0", b"4 \n \r\n", "ü \u{2028}".as_bytes()];
    let mut texts: Vec<_> = awkward.iter().map(|text| text.to_vec()).collect();
    texts.extend((SHORT - 3..SHORT + 3).map(|length| vec![b'x'; length]));
    for (n, text) in texts.iter().enumerate() {
        let name = format!("j{n}");
        site.broker.enqueue(vec![NewJob::new("t", text.clone()).id(id(&name))]).await.unwrap();
        assert_eq!(site.has_hash(&name), text.len() > SHORT);
        let leases = site.lease(9).await;
        assert_eq!((leases.len(), &leases[0].job.payload), (1, text));
        let done = done(&leases[0], text);
        let history = &done.history.bytes;
        let end = "60000000  ".len() + history.len().to_string().len() + history.len() + text.len();
        site.broker.settle(&[done]).await.unwrap();
        assert_eq!(site.has_hash(&name), end > SHORT || text.len() > SHORT);
        assert_eq!(site.broker.payload(&id(&name)).await.unwrap().as_ref(), Some(text));
        assert_eq!(site.broker.result(&id(&name)).await.unwrap().as_ref(), Some(text));
        let view = site.broker.job(&id(&name)).await.unwrap().unwrap();
        assert_eq!((view.payload_bytes, view.result_bytes), (text.len() as u64, Some(text.len() as u64)));
    }
}

#[tokio::test]
async fn a_result_that_is_not_kept_leaves_nothing() {
    let site = site();
    site.broker.enqueue(vec![job("a")]).await.unwrap();
    let leases = site.lease(1).await;
    let gone = settle(&leases[0], Settlement::Complete { reply: b"reply".to_vec(), keep: Duration::ZERO });
    assert_eq!(site.broker.settle(&[gone]).await.unwrap(), [Settled::Done]);
    assert_eq!((records(&site.server), site.broker.queues().await.unwrap()[0].running), (vec![], 0));
}

/// What needs a hash, done while the job is queued or runs; and the state it is in then.
#[tokio::test]
async fn whatever_else_is_done_with_a_job_finds_it_as_it_is() {
    let site = site();
    let broker = &site.broker;
    let names = ["cancelled", "removed", "asked", "noted", "released", "retried", "dead", "lost", "limited", "plain"];
    broker.enqueue(names.iter().map(|name| job(name)).collect()).await.unwrap();
    assert_eq!(broker.cancel(&[id("cancelled")]).await.unwrap(), [Cancelled::Done]);
    assert_eq!(broker.remove(&[id("removed")]).await.unwrap(), [true]);
    assert_eq!((site.state("cancelled").await, broker.job(&id("removed")).await.unwrap()), (State::Cancelled, None));
    let leases = site.lease(9).await;
    let [asked, noted, released, retried, dead, lost, limited, plain] = leases.as_slice() else {
        panic!("{leases:#?}")
    };
    assert_eq!(records(&site.server).len(), 3, "the cancelled one, `short` and `leased`");

    assert_eq!(broker.cancel(&[id("asked")]).await.unwrap(), [Cancelled::Asked]);
    let beat = [Beat { lease: asked.reference(), begun: false }];
    assert_eq!(broker.extend(&beat, LEASE).await.unwrap(), [Extended::Cancelling]);
    let note = Note { lease: noted.reference(), progress: Some(0.5), log: JobLog::default() };
    let stale = LeaseRef { token: plain.token + 1, ..plain.reference() };
    broker.note(&[note.clone(), Note { lease: stale, ..note }]).await.unwrap();
    assert_eq!(broker.job(&id("plain")).await.unwrap().unwrap().progress, None);
    assert_eq!(broker.job(&id("noted")).await.unwrap().unwrap().progress, Some(0.5));
    let settlements = [
        done(noted, b"noted"),
        done(noted, b"twice"),
        done(plain, b"plain"),
        settle(released, Settlement::Release),
        settle(retried, Settlement::Retry { delay: Duration::from_secs(1) }),
        Settle { outcome: OutcomeKind::Failed, ..settle(dead, Settlement::Bury) },
        done(plain, b"twice"),
        settle(asked, Settlement::Retry { delay: Duration::ZERO }),
    ];
    let answers = broker.settle(&settlements).await.unwrap();
    let (fine, stale) = (Settled::Done, Settled::Stale);
    assert_eq!(answers, [fine, stale, fine, fine, fine, fine, stale, fine]);
    for (name, state) in [
        ("asked", State::Cancelled),
        ("noted", State::Succeeded),
        ("plain", State::Succeeded),
        ("released", State::Queued),
        ("retried", State::Scheduled),
        ("dead", State::Dead),
    ] {
        assert_eq!(site.state(name).await, state, "{name}");
        assert_eq!(site.has_hash(name), name != "plain", "{name}");
    }
    assert_eq!(broker.result(&id("plain")).await.unwrap().as_deref(), Some(&b"plain"[..]));
    assert_eq!(broker.result(&id("noted")).await.unwrap().as_deref(), Some(&b"noted"[..]));

    // Both run: the one is extended, the other's worker is gone.
    broker.set_limit("default", &Scope::Task("t".into()), &Limit { concurrency: Some(2), rate: None }).await.unwrap();
    assert_eq!(site.lease(9).await, [], "two run under the limit already");
    broker.extend(&[Beat { lease: limited.reference(), begun: true }], LEASE * 2).await.unwrap();
    site.clock.advance(LEASE);
    let taken = broker.reap(&request("default", 9)).await.unwrap();
    assert_eq!((taken.len(), &taken[0].job.id, taken[0].job.counters.starts), (1, &lost.job.id, 1));
    assert_eq!(taken[0].previous_worker.as_ref().map(|vanished| vanished.worker.as_str()), Some("w1"));
    assert_eq!(
        broker.settle(&[complete(lost), complete(&taken[0]), complete(limited)]).await.unwrap(),
        [stale, fine, fine]
    );
    site.promote().await;
    assert_eq!(site.lease(9).await.len(), 2, "the released and the retried one");
    assert_eq!(broker.rules().await.unwrap()[0].rules[0].running, 2);
}

#[tokio::test]
async fn what_follows_may_have_the_id_of_a_job_that_is_not_kept_and_ends_in_the_same_step() {
    let site = site();
    let chain =
        job("first").then(vec![Link { id: id("gone"), task: "t".into(), key: None, options: JobOptions::default() }]);
    site.broker.enqueue(vec![job("gone"), chain]).await.unwrap();
    let leases = site.lease(2).await;
    let reply = || b"reply".to_vec();
    let gone = settle(&leases[0], Settlement::Complete { reply: reply(), keep: Duration::ZERO });
    assert_eq!(site.broker.settle(&[gone, done(&leases[1], &reply())]).await.unwrap(), vec![Settled::Done; 2]);
    assert_eq!(site.state("gone").await, State::Queued);
}

/// Everything that makes a hash of a record, where another program has put something else in the hash's place.
#[tokio::test]
async fn what_stands_in_the_place_of_a_hash_costs_no_job_beside_it() {
    let site = site();
    let broker = &site.broker;
    let queue = |n: usize| format!("q{n}");
    let spoil = |n: usize| site.server.command(&format!("SET afresh:{{q{n}}}:job:bad text"));
    for n in 0..5 {
        broker.enqueue(["a", "bad", "z"].map(|name| job(name).queue(queue(n))).into()).await.unwrap();
    }
    let limit = Limit { concurrency: Some(9), rate: None };
    broker.set_limit(&queue(0), &Scope::Task("t".into()), &limit).await.unwrap();
    spoil(0);
    assert_eq!(broker.lease(&request(&queue(0), 9)).await.unwrap().len(), 3);
    spoil(1);
    assert_eq!(broker.purge(&queue(1)).await.unwrap(), 3);
    for n in [2, 3, 4] {
        let leases = broker.lease(&request(&queue(n), 9)).await.unwrap();
        spoil(n);
        match n {
            2 => broker.set_limit(&queue(n), &Scope::Task("t".into()), &limit).await.unwrap(),
            3 => {
                let released: Vec<_> = leases.iter().map(|lease| settle(lease, Settlement::Release)).collect();
                assert_eq!(broker.settle(&released).await.unwrap(), vec![Settled::Done; 3]);
            }
            _ => {
                site.clock.advance(LEASE);
                assert_eq!(broker.reap(&request(&queue(n), 9)).await.unwrap().len(), 3);
            }
        }
    }
}

#[tokio::test]
async fn jobs_whose_leases_another_program_removes_are_not_lost() {
    let site = site();
    site.broker.enqueue(vec![job("a"), job("b")]).await.unwrap();
    let leases = site.lease(9).await;
    site.server.command("DEL afresh:{default}:leased");
    assert_eq!(site.broker.settle(&[done(&leases[0], b"")]).await.unwrap(), [Settled::Stale]);
    site.clock.advance(LEASE);
    assert_eq!(site.broker.reap(&request("default", 9)).await.unwrap(), []);
    assert_eq!(site.lease(9).await.len(), 2);
}

#[tokio::test]
async fn whatever_another_program_writes_into_a_short_record_the_jobs_beside_it_go_on() {
    let site = site();
    let garbage = [
        r#""\xff\xfe""#,
        "x",
        r#""""#,
        r#"" ""#,
        r#""3 ""#,
        r#""3 1 ""#,
        r#""3 x t p""#,
        r#""3 1  p""#,
        r#""4 1 t p""#,
        r#""-1 -1 -1 -1""#,
    ];
    for hash in ["short", "leased", "ended"] {
        for (n, garbage) in garbage.iter().enumerate() {
            let queue = format!("{hash}{n}");
            let at = format!("with {hash} = {garbage}");
            let spoil = || site.server.command(&format!("HSET afresh:{{{queue}}}:{hash} bad {garbage}"));
            let fine = |leases: &[Lease]| leases.iter().filter(|lease| lease.job.id.as_str() != "bad").count();
            let queues = std::slice::from_ref(&queue);
            site.broker.enqueue(["a", "bad", "z"].map(|name| job(name).queue(&queue)).into()).await.unwrap();
            spoil();
            let leases = site.broker.lease(&request(&queue, 9)).await.expect(&at);
            assert_eq!(fine(&leases), 2, "{at}: {leases:#?}");
            spoil();
            let beats: Vec<_> = leases.iter().map(|lease| Beat { lease: lease.reference(), begun: true }).collect();
            site.broker.extend(&beats, LEASE).await.expect(&at);
            spoil();
            site.broker.job(&id("bad")).await.expect(&at);
            site.clock.advance(LEASE);
            let lost = site.broker.reap(&request(&queue, 9)).await.expect(&at);
            assert_eq!(fine(&lost), 2, "{at}: {lost:#?}");
            let done: Vec<_> = lost.iter().map(complete).collect();
            site.broker.settle(&done).await.expect(&at);
            site.broker.promote(queues, &Retention::default()).await.expect(&at);
            let counts = site.broker.queues().await.unwrap().into_iter().find(|counts| counts.queue == queue).unwrap();
            assert_eq!((counts.succeeded >= 2, counts.running), (true, 0), "{at}: {counts:?}");
            site.broker.purge(&queue).await.expect(&at);
        }
    }
}
