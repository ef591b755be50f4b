//! Workers that are killed, or come back from the dead: no job is lost, and no stale attempt changes one.

use afresh_queue::{NewJob, State};

use crate::ahead::asleep_with;
use crate::effects::Effects;
use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(
    a_job_whose_worker_is_killed_comes_back_as_lost_and_runs_elsewhere,
    a_job_that_loses_every_worker_is_dead_as_lost,
    a_last_attempt_that_somebody_without_its_module_takes_over_is_not_run_again,
    a_worker_back_from_the_dead_changes_nothing,
    a_worker_that_slept_longer_than_its_leases_runs_nothing_that_it_held_ahead,
);

fn a_job_whose_worker_is_killed_comes_back_as_lost_and_runs_elsewhere(site: &mut Site) {
    site.task("work", &guests::spin());
    site.module("other/work.wasm", &guests::wasm(&guests::reply("from the second")));
    let id = site.enqueue(NewJob::new("work", "").options(hasty(5)));
    let mut first = site.worker().slots(1).lease("1s").start();
    let name = first.says("worker started").field("worker");
    first.starts(&id);
    first.kill();

    let second = site.worker_with(&site.path("other")).slots(1).lease("1s").start();
    assert_eq!(site.succeeds(&id), "from the second");
    let lost = second.says("attempt lost");
    assert_eq!((lost.field("worker"), lost.field("job")), (name.clone(), id.to_string()));
    let job = site.job(&id);
    assert_eq!((job.attempts_started, outcomes(&job)), (2, vec!["lost", "succeeded"]));
    assert_eq!(job.attempts[1].worker, name, "the history names who was lost");
    assert!(job.attempts[1].error.as_ref().unwrap().message.contains("the lease expired"), "{job:#?}");
}

fn a_job_that_loses_every_worker_is_dead_as_lost(site: &mut Site) {
    site.task("work", &guests::spin());
    let id = site.enqueue(NewJob::new("work", "").options(hasty(2)));
    for start in 1..=2 {
        let mut worker = site.worker().slots(1).lease("1s").start();
        worker.starts(&id);
        let job = site.job(&id);
        assert_eq!((job.state, job.attempts_started), (State::Running, start));
        worker.kill();
    }
    let _third = site.worker().slots(1).lease("1s").start();
    let job = site.dies(&id);
    assert_eq!((job.attempts_started, outcomes(&job)), (2, vec!["lost", "lost"]));
    assert_eq!(job.attempts[0].error.as_ref().unwrap().kind, "lost");
}

fn a_last_attempt_that_somebody_without_its_module_takes_over_is_not_run_again(site: &mut Site) {
    let effects = Effects::at(site.path("effects"));
    site.task("once", &guests::endless(r#"{"task":"once","max_attempts":1,"min_backoff_ms":1,"max_backoff_ms":1}"#));
    site.module("other/echo.wasm", &guests::wasm(&guests::echo()));
    let id = site.enqueue(NewJob::new("once", ""));
    let mut first = site.worker().slots(1).lease("1s").env("AFRESH_EFFECTS", effects.path()).start();
    first.starts(&id);
    first.kill();

    let mut without = site.worker_with(&site.path("other")).slots(1).lease("1s").start();
    without.says("attempt lost");
    site.wait(&id, "lost", |job| outcomes(job).contains(&"lost"));
    without.terminate();
    assert_eq!(without.ends(), 0);
    assert!(!site.job(&id).state.is_terminal(), "by the defaults it has attempts left");

    let _third = site.worker().slots(1).lease("1s").env("AFRESH_EFFECTS", effects.path()).start();
    let job = site.dies(&id);
    assert_eq!((job.attempts_started, effects.starts(&id)), (1, 1), "{job:#?}");
    let newest = &job.attempts[0];
    assert_eq!((newest.outcome.as_str(), newest.error.as_ref().unwrap().kind.as_str()), ("lost", "no_attempt_left"));
}

fn a_worker_back_from_the_dead_changes_nothing(site: &mut Site) {
    site.task("work", &guests::nap(3_000, "from the first"));
    site.module("other/work.wasm", &guests::wasm(&guests::reply("from the second")));
    let id = site.enqueue(NewJob::new("work", "").options(hasty(5)));
    let zombie = site.worker().slots(1).lease("1s").start();
    zombie.starts(&id);
    site.pause(&zombie);
    let mut second = site.worker_with(&site.path("other")).slots(1).lease("1s").start();
    assert_eq!(site.succeeds(&id), "from the second");
    second.terminate();
    assert_eq!(second.ends(), 0);

    let before = site.job(&id);
    zombie.resume();
    zombie.says("an attempt ended after its lease was lost; it changed nothing");
    assert_eq!(site.job(&id), before);
    assert_eq!(site.succeeds(&id), "from the second");
    let next = site.enqueue(NewJob::new("work", ""));
    assert_eq!(site.succeeds(&next), "from the first", "it is a worker like any other again");
}

fn a_worker_that_slept_longer_than_its_leases_runs_nothing_that_it_held_ahead(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("nap", &guests::nap(2_000, "rested"));
    let [first, second] = ["first", "second"].map(|name| Effects::at(site.path(name)));
    let sleeper = site.worker().queues("default,warm").slots(1).lease("2s").env("AFRESH_EFFECTS", first.path()).start();
    let jobs: Vec<_> = (0..2).map(|n| NewJob::new("echo", n.to_string()).options(hasty(5))).collect();
    let ids = asleep_with(site, &sleeper, &NewJob::new("nap", "").options(hasty(5)), &jobs);
    let (busy, held) = (&ids[0], &ids[1..]);

    let mut other = site.worker().slots(2).lease("2s").env("AFRESH_EFFECTS", second.path()).start();
    ids.iter().for_each(|id| drop(site.succeeds(id)));
    other.terminate();
    assert_eq!(other.ends(), 0);
    let before: Vec<_> = ids.iter().map(|id| site.job(id)).collect();
    sleeper.resume();
    for id in &ids {
        sleeper.tells(&format!("that it has let go of {id}"), |event| {
            event.says("after its lease was lost") && event.field("job") == id.as_str()
        });
    }
    assert_eq!((first.starts(busy), second.starts(busy)), (1, 1), "it ran while its worker slept");
    for id in held {
        assert_eq!((first.starts(id), second.starts(id)), (0, 1), "{id} ran where it should not");
    }
    assert_eq!(ids.iter().map(|id| site.job(id)).collect::<Vec<_>>(), before);
}
