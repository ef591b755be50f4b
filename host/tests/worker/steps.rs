//! Every step of a job's life, and what becomes of the job if its worker dies there: by SIGKILL, and the worker that takes
//! over dies there once more. The steps are those of `host/queue/src/steps.rs`; each of them has a scenario here.

use std::time::Duration;

use afresh_harness::{SOON, wait_until};
use afresh_queue::steps::{ALL, On};
use afresh_queue::{JobId, NewJob, State, Timestamp};

use crate::guests;
use crate::sdk::Step::{Enqueue, Reply};
use crate::sdk::module;
use crate::site::{Site, hasty, outcomes};
use crate::stage::Stage;

/// Makes of each scenario a test for each broker that has its step, and lists it.
macro_rules! scenarios {
    (each: $($each:ident)+; redis: $($redis:ident)+; sqlite: $($sqlite:ident)+;) => {
        $(mod $each {
            #[test]
            fn on_sqlite() {
                super::$each(super::stage(crate::site::Site::sqlite(), stringify!($each)));
            }

            #[test]
            fn on_redis() {
                super::$each(super::stage(crate::site::Site::redis(&[]), stringify!($each)));
            }
        })+
        $(mod $redis {
            #[test]
            fn on_redis() {
                super::$redis(super::stage(crate::site::Site::redis(&[]), stringify!($redis)));
            }
        })+
        $(mod $sqlite {
            #[test]
            fn on_sqlite() {
                super::$sqlite(super::stage(crate::site::Site::sqlite(), stringify!($sqlite)));
            }
        })+

        const SCENARIOS: &[(&str, On)] = &[
            $((stringify!($each), On::Each),)+ $((stringify!($redis), On::Redis),)+ $((stringify!($sqlite), On::Sqlite),)+
        ];
    };
}

scenarios! {
    each: enqueued promoted leased told begun run decided settled extended reaped drained interrupted wound_down;
    redis: cron_due letter_taken letter_brought settled_half;
    sqlite: uncommitted;
}

#[test]
fn every_step_has_a_scenario() {
    for step in ALL {
        let scenario = step.name.replace('-', "_");
        assert!(SCENARIOS.contains(&(&scenario, step.on)), "{} has none: {}", step.name, step.happened);
    }
    assert_eq!(SCENARIOS.len(), ALL.len(), "a scenario has no step");
}

/// A stage for the step that this scenario is named after.
fn stage(site: Site, scenario: &str) -> Stage {
    let step = ALL.iter().find(|step| step.name.replace('-', "_") == scenario);
    Stage::new(site, step.expect("a scenario has a step").name)
}

fn enqueued(stage: Stage) {
    let enqueue = ["enqueue", "echo", "hello", "--id", "once"];
    for _ in 0..2 {
        stage.program_dies(&enqueue, 0);
        assert_eq!(stage.site.job(&id("once")).state, State::Queued, "it is there, though nobody was told");
    }
    assert_eq!(stage.site.program(&enqueue), "once");
    stage.ends_well("default", 1);
}

fn promoted(mut stage: Stage) {
    let soon = Timestamp::now().after(Duration::from_millis(300));
    let job = stage.site.enqueue(NewJob { run_at: Some(soon), ..NewJob::new("echo", "") });
    assert!(wait_until(SOON, || Timestamp::now() > soon.after(Duration::from_millis(50))));
    stage.two_die(|worker| worker);
    assert_eq!(stage.site.job(&job).state, State::Queued, "it was made available");
    stage.ends_well("default", 1);
}

fn leased(mut stage: Stage) {
    stage.jobs(5, "echo", "default");
    stage.two_die(|worker| worker);
    assert_eq!(ends(&stage), 0, "no slot has heard of them");
    stage.ends_well("default", 5);
}

/// Nobody can know that the guest has not run, and it must not run once more than it may.
fn told(mut stage: Stage) {
    for _ in 0..2 {
        stage.site.enqueue(NewJob::new("echo", "").options(hasty(1)));
        let worker = stage.armed().start();
        stage.dies(worker);
    }
    for job in stage.end("default", 2) {
        assert_eq!((job.state, job.attempts_started, outcomes(&job)), (State::Dead, 1, vec!["lost"]));
        assert_eq!(stage.started(&job.id), 0);
    }
}

fn begun(mut stage: Stage) {
    stage.jobs(3, "echo", "default");
    stage.two_die(|worker| worker.slots(1));
    assert_eq!(ends(&stage), 0, "no guest has run");
    stage.ends_well("default", 3);
}

fn run(mut stage: Stage) {
    let jobs = stage.jobs(1, "echo", "default");
    stage.two_die(|worker| worker);
    assert_eq!(stage.ran(&jobs[0]), ["succeeded"; 2], "it has run, and nobody knows");
    stage.ends_well("default", 1);
}

fn decided(mut stage: Stage) {
    let jobs = stage.jobs(1, "echo", "default");
    stage.two_die(|worker| worker);
    assert_eq!(stage.site.job(&jobs[0]).state, State::Running, "nothing was sent");
    stage.ends_well("default", 1);
}

fn settled(mut stage: Stage) {
    for _ in 0..2 {
        let jobs = stage.jobs(1, "echo", "default");
        let worker = stage.armed().start();
        stage.dies(worker);
        assert_eq!(stage.site.job(&jobs[0]).state, State::Succeeded, "the broker has settled it");
    }
    let jobs = stage.ends_well("default", 2);
    assert!(jobs.iter().all(|job| outcomes(job) == ["succeeded"]), "what is settled is not run again: {jobs:#?}");
}

fn extended(mut stage: Stage) {
    stage.jobs(1, "nap", "default");
    stage.two_die(|worker| worker);
    stage.ends_well("default", 1);
}

fn reaped(mut stage: Stage) {
    let jobs = stage.jobs(2, "nap", "default");
    let mut first = stage.worker().start();
    jobs.iter().for_each(|job| drop(first.starts(job)));
    first.kill();
    stage.killed(&first);
    stage.two_die(|worker| worker);
    let jobs = stage.ends_well("default", 2);
    assert!(jobs.iter().all(|job| outcomes(job) == ["lost", "succeeded"]), "it was lost once: {jobs:#?}");
}

fn drained(mut stage: Stage) {
    let jobs = stage.jobs(1, "nap", "default");
    in_shutdown(&mut stage, &jobs[0]);
    stage.ends_well("default", 1);
}

fn interrupted(mut stage: Stage) {
    let jobs = stage.jobs(1, "nap", "default");
    in_shutdown(&mut stage, &jobs[0]);
    stage.ends_well("default", 1);
}

fn wound_down(mut stage: Stage) {
    let jobs = stage.jobs(1, "nap", "default");
    in_shutdown(&mut stage, &jobs[0]);
    let job = stage.site.job(&jobs[0]);
    assert_eq!((job.state, job.attempts_started), (State::Queued, 0), "a shutdown costs no attempt: {job:#?}");
    assert_eq!(outcomes(&stage.ends_well("default", 1)[0]), ["interrupted", "interrupted", "succeeded"]);
}

/// Two workers are asked to end while this job runs, and die meanwhile.
fn in_shutdown(stage: &mut Stage, job: &JobId) {
    for _ in 0..2 {
        let worker = stage.armed().start();
        worker.starts(job);
        worker.terminate();
        stage.dies(worker);
    }
}

fn cron_due(mut stage: Stage) {
    stage.site.program(&["cron", "add", "tick", "* * * * * *", "echo", "tock"]);
    stage.two_die(|worker| worker);
    assert_eq!(stage.site.jobs(), [], "its time has come, and its job is not made");
    let mut third = stage.worker().start();
    assert!(wait_until(SOON, || !stage.site.jobs().is_empty()), "{}", third.log());
    stage.site.program(&["cron", "rm", "tick"]);
    third.terminate();
    assert_eq!(third.ends(), 0);
    let made = stage.site.jobs().len();
    stage.ends_well("default", made);
}

fn letter_taken(stage: Stage) {
    letter(stage, false);
}

fn letter_brought(stage: Stage) {
    letter(stage, true);
}

/// A job on its way from one queue to another, with workers that die when it is not, or is, `there`.
fn letter(mut stage: Stage, there: bool) {
    let site = &stage.site;
    site.task("split", &module(&[Enqueue(r#"{"task":"echo","id":"child","queue":"other"}"#, "hi"), Reply("split")]));
    site.config("[tasks.split]\nenqueue = [\"other\"]\n");
    site.enqueue(NewJob::new("split", "").id(id("parent")).options(hasty(5)));
    for _ in 0..2 {
        let worker = stage.armed().start();
        stage.dies(worker);
        assert_eq!(stage.site.find(&id("child")).is_some(), there);
        half_a_minute_passes(&stage.site);
    }
    stage.ends_well("default,other", 2);
}

/// For the outbox, whose letters are taken again after that.
fn half_a_minute_passes(site: &Site) {
    let due =
        r#"EVAL "for _, n in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZADD', KEYS[1], 0, n) end""#;
    let redis = site.redis.as_ref().expect("an outbox is in Redis");
    redis.command(&format!("{due} 1 afresh:{{default}}:outbox-due"));
}

/// What a call carries of one queue is bounded by its bytes, so that twenty large replies take several.
fn settled_half(mut stage: Stage) {
    stage.site.task("pour", &guests::pour(1, 30, 0));
    let (mut jobs, mut before) = (Vec::new(), 0);
    for _ in 0..2 {
        jobs.extend(stage.jobs(20, "pour", "default"));
        // The settler is held up once, for as long as twenty guests may take on a busy machine, so that what ends meanwhile
        // is settled together.
        let points = "decided=1*sleep(3000);settled-half=return";
        let worker = stage.worker().env("FAILPOINTS", points).slots(20).start();
        stage.dies(worker);
        let settled = jobs.iter().filter(|job| stage.site.job(job).state == State::Succeeded).count();
        assert!(before < settled && settled < jobs.len(), "{settled} are settled, and the others not");
        before = settled;
    }
    stage.ends_well("default", 40);
}

/// Dies in its first transaction, in its second, and so on; each is as if it had never begun.
fn uncommitted(mut stage: Stage) {
    let enqueue = ["enqueue", "echo", "hello", "--id", "once"];
    // The first one only checks that the file can be written.
    stage.program_dies(&enqueue, 1);
    assert_eq!(stage.site.find(&id("once")), None, "the broker has rolled it back");
    assert_eq!(stage.site.program(&enqueue), "once");

    stage.site.config("[limits]\nlost = 100\n");
    for transactions in 0..12 {
        stage.jobs(2, "echo", "default");
        let worker = stage.armed_after(transactions).start();
        stage.dies(worker);
    }
    stage.ends_well("default", 25);
}

fn ends(stage: &Stage) -> usize {
    stage.effects.iter().map(|effects| effects.ends()).sum()
}

fn id(text: &str) -> JobId {
    text.parse().unwrap()
}
