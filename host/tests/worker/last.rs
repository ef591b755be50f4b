//! Last attempts, held ahead of the slots of a worker that is killed, run after all: they had not begun. What becomes of one
//! that had is in `steps`.

use afresh_queue::NewJob;

use crate::ahead::asleep_with;
use crate::effects::Effects;
use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(a_last_attempt_that_was_held_ahead_when_its_worker_was_killed_runs_after_all_and_once);

fn a_last_attempt_that_was_held_ahead_when_its_worker_was_killed_runs_after_all_and_once(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("nap", &guests::nap(2_000, "rested"));
    let [first, second] = ["first", "second"].map(|name| Effects::at(site.path(name)));
    let worker = site.worker().queues("default,warm").slots(1).lease("2s");
    let mut killed = worker.env("AFRESH_EFFECTS", first.path()).start();
    let jobs: Vec<_> = (0..2).map(|n| NewJob::new("echo", n.to_string()).options(hasty(1))).collect();
    let ids = asleep_with(site, &killed, &NewJob::new("nap", "").options(hasty(1)), &jobs);
    killed.kill();

    let _other = site.worker().slots(1).lease("2s").env("AFRESH_EFFECTS", second.path()).start();
    assert_eq!(outcomes(&site.dies(&ids[0])), ["lost"], "it had begun");
    assert_eq!((first.starts(&ids[0]), second.starts(&ids[0])), (1, 0));
    for (n, id) in ids[1..].iter().enumerate() {
        assert_eq!(site.succeeds(id), n.to_string());
        let job = site.job(id);
        assert_eq!((job.attempts_started, outcomes(&job)), (1, vec!["lost", "succeeded"]));
        assert!(job.attempts[1].error.as_ref().unwrap().message.contains("before this attempt"), "{job:#?}");
        assert_eq!((first.starts(id), second.starts(id)), (0, 1));
    }
}
