//! Modules and settings that cannot be: one sentence each, and nobody else is held up.

use std::fs;

use afresh_queue::NewJob;

use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(a_bad_module_is_named_and_its_jobs_wait_while_others_are_served);

fn a_bad_module_is_named_and_its_jobs_wait_while_others_are_served(site: &mut Site) {
    let good = guests::wasm(&guests::echo());
    let bad: [(&str, &[u8], &str); 6] = [
        ("text", b"(module)", "is WebAssembly text"),
        ("cut", &good[..good.len() / 2], "is cut off after"),
        ("component", b"\0asm\x0d\0\x01\0", "is a WebAssembly component"),
        ("native", b"\x7fELF\x02\x01\x01\0", "is native code"),
        ("strange", &guests::wasm(&guests::strange_import()), "`env.open_the_door`"),
        ("nothing", b"", "is empty"),
    ];
    for (name, bytes, _) in &bad {
        site.module(&format!("tasks/{name}.wasm"), bytes);
    }
    site.task("echo", &guests::echo());
    site.config("[limits]\nwaits = 2\n");
    let worker = site.worker().slots(2).start();
    worker.says("worker started");
    for (name, _, why) in &bad {
        let event = worker.tells(name, |event| event.says(&format!("{name}.wasm")) && event.says("module refused"));
        assert!(event.says(why), "{event}");
    }
    assert_eq!(worker.count("module refused"), bad.len(), "{}", worker.log());
    let jobs: Vec<_> = bad.iter().map(|(name, ..)| site.enqueue(NewJob::new(*name, "").options(hasty(1)))).collect();
    let fine = site.enqueue(NewJob::new("echo", "served"));
    assert_eq!(site.succeeds(&fine), "served");
    for (id, (_, _, why)) in jobs.iter().zip(&bad) {
        let job = site.dies(id);
        assert_eq!((job.attempts_started, outcomes(&job)), (0, vec!["bad_module"; 3]), "waits are bounded too");
        assert!(job.attempts[0].error.as_ref().unwrap().message.contains(why), "{job:#?}");
    }
}

#[test]
fn an_empty_tasks_folder_is_said_and_filled_later() {
    let site = Site::sqlite();
    let worker = site.worker().start();
    worker.says("holds no task module yet; it is watched");
    site.task("echo", &guests::echo());
    worker.says("module loaded");
    let id = site.enqueue(NewJob::new("echo", "at last"));
    assert_eq!(site.succeeds(&id), "at last");
}

#[test]
fn a_missing_tasks_folder_ends_the_worker_with_a_sentence() {
    let site = Site::sqlite();
    fs::remove_dir(site.path("tasks")).unwrap();
    ends_with(&site, &["the tasks folder", "is not there", "--tasks"]);
}

#[test]
fn a_key_that_is_not_known_ends_the_worker_with_its_name_and_line() {
    let site = Site::sqlite();
    site.config("[worker]\nlease = \"5s\"\nleese = \"5s\"\n");
    ends_with(&site, &["afresh.toml", "line 3", "leese"]);
    site.config("# ours\n[tasks.thumbnail]\nmemmory = \"64 MiB\"\n");
    ends_with(&site, &["afresh.toml", "line 3", "memmory"]);
    site.config("\n[walls]\n");
    ends_with(&site, &["afresh.toml", "line 2", "walls"]);
}

fn ends_with(site: &Site, words: &[&str]) {
    let mut worker = site.worker().start();
    assert_eq!(worker.ends(), 1, "{}", worker.log());
    let error = worker.tells("why it ends", |event| event.message().starts_with("error: "));
    for word in words {
        assert!(error.says(word), "{error} does not say {word:?}");
    }
}
