//! Compile bombs: each has one expected outcome, costs the worker nothing, and holds up nobody.

use std::fs;
use std::path::{Path, PathBuf};

use afresh_harness::{Event, SOON, Worker, wait_until};
use afresh_queue::{NewJob, State};

use crate::bombs;
use crate::guests;
use crate::site::{Site, hasty};

/// What a worker may hold more after a bomb than before it. Of a module that is refused, it may never have held more.
const MOST_MORE: u64 = 32 << 20;

/// What is to become of a bomb.
enum Expected {
    /// It is harmless here, and its task runs.
    Runs,
    /// Its module is refused with these words.
    Refused(&'static str),
}
use Expected::{Refused, Runs};

#[test]
fn a_bomb_that_shows_in_its_counts_is_refused_without_compiling_and_what_keeps_the_bounds_runs() {
    try_each(
        "compile_cpu = \"10m\"",
        [
            ("tiny-functions", bombs::tiny_functions(100_000), Runs),
            ("too-many-functions", bombs::tiny_functions(300_000), Refused("300001 functions, the limit is 200000")),
            (
                "seven-megabytes",
                bombs::long_functions(1, 7 << 20),
                Refused("bytes in a function, the limit is 2097152"),
            ),
            ("locals", bombs::locals(1, 50_000), Refused("50000 locals in a function, the limit is 20000")),
            (
                "locals-everywhere",
                bombs::locals(1_000, 20_000),
                Refused("locals in all functions, the limit is 5000000"),
            ),
            ("elements", bombs::elements(200_000), Runs),
            ("more-elements", bombs::elements(1_000_000), Refused("elements in its segments, the limit is 200000")),
            ("exports", bombs::exports(100_000), Refused("100002 exports, the limit is 20000")),
            ("types", bombs::types(100_000, 1), Refused("100001 types, the limit is 50000")),
            ("wide-types", bombs::types(10_000, 1_000), Refused("parameters and results in its types")),
            ("custom-section", bombs::custom_section(100 << 20), Refused("bytes, the limit is 67108864")),
            ("data-segments", bombs::data_segments(100_000), Refused("100000 data segments, the limit is 20000")),
            ("sparse-image", bombs::sparse_image(1_000), Runs),
            ("globals", bombs::globals(1_000_000), Refused("1000000 globals, the limit is 10000")),
        ],
    );
}

#[test]
fn a_bomb_that_only_shows_when_it_goes_off_is_refused_by_the_limit_it_hit() {
    const TIME: &str = "more than 1s of processor time, the limit (worker.compile_cpu)";
    try_each(
        "compile_cpu = \"1s\"",
        [
            ("nesting", bombs::nesting(500_000), Refused(TIME)),
            ("slow-to-validate", bombs::slow_to_validate(1, 1_900_000), Refused(TIME)),
        ],
    );
}

fn try_each<const N: usize>(config: &str, cases: [(&str, Vec<u8>, Expected); N]) {
    let site = Site::sqlite();
    site.config(&format!("[worker]\n{config}\n"));
    site.task("echo", &guests::echo());
    let worker = site.worker().slots(1).start();
    worker.says("worker started");
    let serves = |words: &str| assert_eq!(site.succeeds(&site.enqueue(NewJob::new("echo", words))), words);
    serves("before");
    let before = memory(&worker, "VmRSS:");
    forget_peak(&worker);
    for (name, wasm, expected) in cases {
        let file = format!("tasks/{name}.wasm");
        site.module(&file, &wasm);
        drop(wasm);
        serves(name);
        let end = |event: &Event| {
            event.field("file").ends_with(&file)
                && ["module loaded", "module refused"].iter().any(|end| event.says(end))
        };
        // Some take a while, and stand back behind whatever else this machine does.
        let _ = wait_until(5 * SOON, || worker.events().iter().any(end));
        let event = worker.tells(name, end);
        match expected {
            Runs => {
                assert_eq!(event.message(), "module loaded", "{event}");
                assert_eq!(site.succeeds(&site.enqueue(NewJob::new(name, "").options(hasty(1)))), "");
                let now = memory(&worker, "VmRSS:");
                assert!(now < before + MOST_MORE, "{name}: {before} bytes before, {now} now");
            }
            Refused(words) => {
                assert!(event.says("module refused") && event.says(words), "{event}");
                let id = site.enqueue(NewJob::new(name, ""));
                let job = site.wait(&id, "refused", |job| !job.attempts.is_empty());
                let error = job.attempts[0].error.as_ref().unwrap();
                assert_eq!((job.attempts[0].outcome.as_str(), job.attempts_started), ("bad_module", 0));
                assert!(error.message.contains(words), "{error:?}");
                site.cancel(&[id]);
                let most = memory(&worker, "VmHWM:");
                assert!(most < before + MOST_MORE, "{name}: {before} bytes before, at most {most} since");
            }
        }
        fs::remove_file(site.path(&file)).unwrap();
        forget_peak(&worker);
    }
}

#[test]
fn a_module_that_takes_more_than_it_may_is_refused_by_the_name_of_the_limit() {
    for (config, words) in [
        ("compile_cpu = \"1s\"", "more than 1s of processor time, the limit (worker.compile_cpu)"),
        ("compile_memory = \"64 MiB\"", "64.0 MiB of memory, the limit (worker.compile_memory)"),
        ("compile_time = \"100ms\"", "more than 100ms, the limit (worker.compile_time)"),
    ] {
        let site = Site::sqlite();
        site.config(&format!("[worker]\n{config}\n"));
        site.module("tasks/large.wasm", &large());
        let worker = site.worker().slots(1).start();
        let event = worker.says("module refused");
        assert!(event.says(words), "{event}");
    }
}

#[test]
fn a_slow_module_holds_up_nobody_and_its_jobs_wait_without_cost() {
    let site = Site::sqlite();
    site.config("[worker]\ncompile_cpu = \"1h\"\ncompile_time = \"1h\"\n[limits]\nwaits = 1\n");
    site.module("tasks/a-bomb.wasm", &bombs::nesting(500_000));
    site.task("echo", &guests::echo());
    let worker = site.worker().slots(1).start();
    worker.says("some modules are still being compiled");
    let waits = site.enqueue(NewJob::new("a-bomb", "").options(hasty(1)));
    let id = site.enqueue(NewJob::new("echo", "served"));
    assert_eq!(site.succeeds(&id), "served");
    worker.says("module takes long to compile");
    for _ in 0..3 {
        let seen = worker.count("its module is still being compiled");
        assert!(wait_until(SOON, || worker.count("its module is still being compiled") > seen), "{}", worker.log());
    }
    let job = site.wait(&waits, "handed back", |job| job.state == State::Scheduled);
    assert_eq!((job.attempts_started, job.attempts.len()), (0, 0), "{job:#?}");
    site.task("a-bomb", &guests::reply("now"));
    assert_eq!(site.succeeds(&waits), "now");
}

#[test]
fn a_stranger_that_takes_for_ever_to_compile_takes_no_task_from_one_that_runs() {
    let site = Site::sqlite();
    site.config("[worker]\ncompile_cpu = \"1h\"\ncompile_time = \"1h\"\n");
    site.task("pay", &guests::reply("paid"));
    let worker = site.worker().slots(1).start();
    assert_eq!(site.succeeds(&site.enqueue(NewJob::new("pay", ""))), "paid");
    let stranger = format!(
        r#"(module (@custom "afresh.tasks" "{{\22task\22:\22pay\22}}")
        (import "afresh_v1" "progress" (func (param f64))) (memory (export "memory") 1)
        (func (export "_start") {} {}))"#,
        "block ".repeat(500_000),
        "end ".repeat(500_000)
    );
    site.module("tasks/a-stranger.wasm", &guests::wasm(&stranger));
    worker.tells("who serves", |event| event.says("pay.wasm serves it") && event.says("a-stranger.wasm does not"));
    assert_eq!(site.succeeds(&site.enqueue(NewJob::new("pay", ""))), "paid");
    assert_eq!(worker.count("its module is still being compiled"), 0, "{}", worker.log());
}

#[test]
fn a_compiler_dies_with_its_worker() {
    let site = Site::sqlite();
    site.config("[worker]\ncompile_cpu = \"1h\"\n");
    site.module("tasks/slow.wasm", &bombs::nesting(500_000));
    let mut worker = site.worker().start();
    // From here on nothing else would end it for an hour.
    assert!(wait_until(5 * SOON, || worker.count("module takes long to compile") == 1), "{}", worker.log());
    let mut child = None;
    assert!(wait_until(SOON, || {
        // Standing back is the last it does before it begins; until then it would see by itself that it is alone.
        child = children(worker.pid()).into_iter().find(|&child| nice(child) == Some(5));
        child.is_some()
    }));
    let child = child.unwrap();
    worker.kill();
    assert!(wait_until(SOON, || !runs(child)), "the compiler goes on without its worker");
}

#[test]
fn a_refused_module_is_remembered() {
    let site = Site::sqlite();
    site.config("[worker]\ncompile_cpu = \"1s\"\n");
    site.module("tasks/large.wasm", &large());
    let refused = || {
        let mut worker = site.worker().start();
        worker.says("more than 1s of processor time");
        worker.says("worker started");
        worker.terminate();
        assert_eq!(worker.ends(), 0);
        worker
    };
    refused();
    let again = refused();
    let kept = cached(&site, "refused");
    assert_eq!(kept.len(), 1, "{kept:?}");
    // A second of processor time would show.
    let at = |words: &str| again.events().iter().position(|event| event.says(words)).unwrap();
    assert!(at("module refused") < at("worker started"), "{}", again.log());

    site.config("[worker]\ncompile_cpu = \"10m\"\n");
    let worker = site.worker().start();
    assert!(
        wait_until(5 * SOON, || worker.count("module loaded") == 1),
        "given more, it is tried again: {}",
        worker.log()
    );
}

#[test]
fn what_was_kept_is_compiled_again_where_it_was_changed_swapped_copied_or_opened_to_others() {
    let site = Site::sqlite();
    site.task("one", &guests::reply("one"));
    site.task("two", &guests::reply("two"));
    let run = || {
        let ids = ["one", "two"].map(|task| (task, site.enqueue(NewJob::new(task, ""))));
        let mut worker = site.worker().slots(1).burst().start();
        assert_eq!(worker.ends(), 0);
        for (task, id) in ids {
            assert_eq!(site.succeeds(&id), task);
        }
        worker
    };
    let tampered = |how: &str, files: usize, tamper: &dyn Fn()| {
        tamper();
        let worker = run();
        assert_eq!(worker.count("its module is compiled again"), files, "{how}: {}", worker.log());
        assert_eq!(run().count("its module is compiled again"), 0, "{how}: it is mended");
    };
    let kept = || {
        let mut files = cached(&site, "code");
        files.sort();
        assert_eq!(files.len(), 2, "{files:?}");
        files
    };
    run();
    let inodes = || {
        kept().iter().map(|file| std::os::unix::fs::MetadataExt::ino(&fs::metadata(file).unwrap())).collect::<Vec<_>>()
    };
    let first = inodes();
    run();
    assert_eq!(inodes(), first, "what is kept is used, and not written again");

    tampered("a byte is flipped", 1, &|| {
        let mut bytes = fs::read(&kept()[0]).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&kept()[0], bytes).unwrap();
    });
    tampered("two files change places", 2, &|| {
        let (aside, files) = (site.path("aside"), kept());
        fs::rename(&files[0], &aside).unwrap();
        fs::rename(&files[1], &files[0]).unwrap();
        fs::rename(&aside, &files[1]).unwrap();
    });
    tampered("a file is a link to itself elsewhere", 1, &|| {
        let (aside, file) = (site.path("aside"), &kept()[0]);
        fs::rename(file, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, file).unwrap();
    });
    tampered("a file may be read by others", 1, &|| mode(&kept()[1], 0o644));
    let cache = site.path(".afresh/cache");
    tampered("the folder is a copy", 2, &|| {
        let old = site.path("old");
        fs::rename(&cache, &old).unwrap();
        fs::create_dir(&cache).unwrap();
        mode(&cache, 0o700);
        for entry in fs::read_dir(&old).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), cache.join(entry.file_name())).unwrap();
        }
        fs::remove_dir_all(old).unwrap();
    });
    tampered("the key is another", 2, &|| fs::write(cache.join("key"), [7; 32]).unwrap());
    tampered("the key is gone", 2, &|| fs::remove_file(cache.join("key")).unwrap());

    for (file, bits) in [(&cache, 0o755), (&cache.join("key"), 0o644)] {
        let before = fs::metadata(file).unwrap().permissions();
        mode(file, bits);
        let mut worker = site.worker().start();
        assert_eq!(worker.ends(), 1, "{}", worker.log());
        worker.says("others may look into it or write to it");
        fs::set_permissions(file, before).unwrap();
    }
}

#[test]
fn compiled_code_from_outside_is_refused_under_any_name() {
    let site = Site::sqlite();
    site.task("echo", &guests::echo());
    let run = || {
        let mut worker = site.worker().burst().start();
        assert_eq!(worker.ends(), 0);
        worker
    };
    run();
    let code = fs::read(&cached(&site, "code")[0]).unwrap();
    let elf = code.windows(4).position(|bytes| bytes == b"\x7fELF").expect("native code inside");
    site.module("tasks/ours.wasm", &code);
    site.module("tasks/native.wasm", &code[elf..]);
    site.module("tasks/echo.cwasm", &code[elf..]);
    site.module("tasks/other.cwasm", &guests::wasm(&guests::echo()));
    let id = site.enqueue(NewJob::new("echo", "served"));
    let worker = run();
    for file in ["ours.wasm", "native.wasm", "echo.cwasm", "other.cwasm"] {
        let event = worker.tells(file, |event| event.says(file) && event.says("module refused"));
        assert!(event.says("is native code, which is never accepted"), "{event}");
    }
    assert_eq!(site.succeeds(&id), "served");
}

/// A module that a fast machine compiles in several seconds.
fn large() -> Vec<u8> {
    bombs::long_functions(40, 200_000)
}

fn mode(file: &Path, bits: u32) {
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(bits)).unwrap();
}

/// The files of this kind that a worker keeps.
fn cached(site: &Site, kind: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(site.path(".afresh/cache")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == kind)).collect()
}

/// Bytes of the worker's memory, by their name in its status.
fn memory(worker: &Worker, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// From now on the most memory that the worker had is counted anew.
fn forget_peak(worker: &Worker) {
    fs::write(format!("/proc/{}/clear_refs", worker.pid()), "5").unwrap();
}

/// How far a process stands back.
fn nice(pid: u32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

/// Whether there is such a process, other than one that only waits to be waited for.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| !status.contains("State:\tZ"))
}

/// The processes that this one has started.
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}
