//! Jobs that were not started in time.

use std::time::Duration;

use afresh_queue::{NewJob, State, Timestamp};

use crate::guests;
use crate::site::{Site, on_each_broker, outcomes};

on_each_broker!(a_job_expires_in_time_though_every_slot_is_busy);

fn a_job_expires_in_time_though_every_slot_is_busy(site: &mut Site) {
    site.task("spin", &guests::spin());
    site.task("echo", &guests::echo());
    let worker = site.worker().slots(1).start();
    let busy = site.enqueue(NewJob::new("spin", ""));
    worker.starts(&busy);
    let patient = site.enqueue(NewJob::new("echo", "patient"));
    let soon = Timestamp::now().after(Duration::from_millis(300));
    let late = site.enqueue(NewJob::new("echo", "late").expires_at(soon));
    let job = site.wait(&late, "expired", |job| job.state == State::Expired);
    assert_eq!((job.attempts_started, outcomes(&job)), (0, vec![]));
    assert!(job.finished_at.is_some_and(|at| at >= soon), "{job:#?}");
    assert_eq!(site.job(&busy).state, State::Running);

    site.cancel(&[busy]);
    assert_eq!(site.succeeds(&patient), "patient");
    assert_eq!(site.job(&late).state, State::Expired, "and it stays so when there is room");
}
