//! Modules come, change and go while the worker runs, and what was compiled is kept.

use std::fs;
use std::time::SystemTime;

use afresh_harness::{SOON, wait_until};
use afresh_queue::{JobOptions, NewJob, State};

use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(
    a_changed_module_serves_new_attempts_while_one_under_way_ends_on_the_old,
    a_missing_module_costs_no_attempt_and_runs_when_it_arrives,
);

fn a_changed_module_serves_new_attempts_while_one_under_way_ends_on_the_old(site: &mut Site) {
    site.task("work", &guests::nap(1_500, "old"));
    let worker = site.worker().slots(2).start();
    let under_way = site.enqueue(NewJob::new("work", ""));
    worker.starts(&under_way);
    site.task("work", &guests::reply("new"));
    assert!(wait_until(SOON, || worker.count("module loaded") == 2), "{}", worker.log());
    let next = site.enqueue(NewJob::new("work", ""));
    assert_eq!(site.succeeds(&next), "new");
    assert_eq!(site.succeeds(&under_way), "old");
    let digest = |id| site.job(id).attempts[0].module.clone().unwrap();
    assert_ne!(digest(&under_way), digest(&next), "the history shows which module an attempt ran");
}

fn a_missing_module_costs_no_attempt_and_runs_when_it_arrives(site: &mut Site) {
    let worker = site.worker().slots(1).start();
    worker.says("holds no task module yet; it is watched");
    let patient = JobOptions { min_backoff_ms: Some(300), max_backoff_ms: Some(300), ..hasty(1) };
    let id = site.enqueue(NewJob::new("late", "").options(patient.clone()));
    let job = site.wait(&id, "waiting", |job| job.state == State::Scheduled && !job.attempts.is_empty());
    let why = &job.attempts[0].error.as_ref().unwrap().message;
    assert!(why.contains("there is no task `late`") && why.contains("tasks"), "{why}");
    assert_eq!((job.attempts_started, job.attempts[0].outcome.as_str()), (0, "bad_module"));
    site.task("late", &guests::reply("here"));
    assert_eq!(site.succeeds(&id), "here");
    assert_eq!(site.job(&id).attempts_started, 1, "it had one attempt, and all of its waits left it that one");

    fs::remove_file(site.path("tasks/late.wasm")).unwrap();
    worker.says("module removed");
    let id = site.enqueue(NewJob::new("late", "").options(patient));
    site.wait(&id, "waiting", |job| outcomes(job).starts_with(&["bad_module"]));
}

#[test]
fn a_bad_new_file_keeps_the_old_module_and_says_so() {
    let site = Site::sqlite();
    site.task("work", &guests::reply("old"));
    let worker = site.worker().start();
    worker.says("worker started");
    site.module("tasks/work.wasm", b"oops");
    let event = worker.says("the one loaded before goes on serving");
    assert!(event.says("is not WebAssembly") && event.says("work.wasm"), "{event}");
    let id = site.enqueue(NewJob::new("work", ""));
    assert_eq!(site.succeeds(&id), "old");
    site.task("work", &guests::reply("new"));
    assert!(wait_until(SOON, || worker.count("module loaded") == 2), "{}", worker.log());
    let id = site.enqueue(NewJob::new("work", ""));
    assert_eq!(site.succeeds(&id), "new");
}

#[test]
fn a_new_module_is_noticed_even_if_its_length_and_time_are_those_of_the_old() {
    let site = Site::sqlite();
    let deploy = |words| {
        let file = site.path("next");
        fs::write(&file, guests::wasm(&guests::reply(words))).unwrap();
        // As an image build that sets all times to one instant does.
        fs::File::open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        fs::rename(file, site.path("tasks/work.wasm")).unwrap();
    };
    deploy("old");
    let worker = site.worker().start();
    worker.says("worker started");
    deploy("new");
    assert!(wait_until(SOON, || worker.count("module loaded") == 2), "{}", worker.log());
    let id = site.enqueue(NewJob::new("work", ""));
    assert_eq!(site.succeeds(&id), "new");
}

#[test]
fn a_tasks_folder_that_is_a_link_can_be_switched_to_another_release() {
    let site = Site::sqlite();
    site.module("releases/1/work.wasm", &guests::wasm(&guests::reply("one")));
    site.module("releases/2/work.wasm", &guests::wasm(&guests::reply("two")));
    let link = |release: &str| {
        std::os::unix::fs::symlink(site.path(release), site.path("next")).unwrap();
        fs::rename(site.path("next"), site.path("current")).unwrap();
    };
    link("releases/1");
    let worker = site.worker_with(&site.path("current")).start();
    worker.says("worker started");
    link("releases/2");
    assert!(wait_until(SOON, || worker.count("module loaded") == 2), "{}", worker.log());
    let id = site.enqueue(NewJob::new("work", ""));
    assert_eq!(site.succeeds(&id), "two");
}

#[test]
fn a_new_version_of_the_program_on_disk_does_not_keep_a_running_worker_from_compiling() {
    let site = Site::sqlite();
    let program = site.path("afresh");
    fs::copy(env!("CARGO_BIN_EXE_afresh"), &program).unwrap();
    let worker =
        afresh_harness::worker(&program).folder(site.folder.path()).tasks(&site.path("tasks")).broker(&site.url);
    let worker = worker.start();
    worker.says("worker started");
    site.module("afresh", b"#!/bin/sh\nexit 1\n");
    site.task("work", &guests::reply("compiled"));
    worker.says("module loaded");
    let id = site.enqueue(NewJob::new("work", ""));
    assert_eq!(site.succeeds(&id), "compiled");
}
