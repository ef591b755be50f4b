//! What a worker takes: nearly no CPU while it waits, and no more memory after guests that failed than before.

use std::fs;
use std::time::{Duration, Instant};

use afresh_harness::{SOON, Worker, wait_until};
use afresh_queue::NewJob;

use crate::guests;
use crate::site::{Site, hasty, on_each_broker};

on_each_broker!(a_worker_whose_slots_are_taken_waits_without_spinning);

fn a_worker_whose_slots_are_taken_waits_without_spinning(site: &mut Site) {
    site.task("nap", &guests::nap(60_000, ""));
    let ids: Vec<_> = (0..5).map(|_| site.enqueue(NewJob::new("nap", ""))).collect();
    let worker = site.worker().slots(1).start();
    site.runs(&ids[0]);
    let (begin, before) = (Instant::now(), cpu(&worker));
    assert!(wait_until(SOON, || begin.elapsed() >= Duration::from_secs(2)));
    let took = cpu(&worker) - before;
    assert!(took < Duration::from_millis(150), "{took:?} of CPU in {:?} of waiting", begin.elapsed());
}

#[test]
fn what_failing_guests_took_goes_back_to_the_system() {
    let site = Site::sqlite();
    site.task("hoard", &guests::hoard(1_000));
    let worker = site.worker().slots(1).start();
    site.dies(&site.enqueue(NewJob::new("hoard", "").options(hasty(1))));
    let before = resident(&worker);
    site.dies(&site.enqueue(NewJob::new("hoard", "").options(hasty(30))));
    // The last attempt's memory may be on its way back; that it comes is what counts.
    let back = wait_until(SOON, || resident(&worker) <= before + (4 << 20));
    assert!(back, "{} bytes after one failed attempt, {} after 31", before, resident(&worker));
    assert!(before < 64 << 20, "the 62 MiB of a guest are still there: {before} bytes");
}

/// CPU time the process took so far.
fn cpu(worker: &Worker) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", worker.pid())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = after_name.split_whitespace().collect();
    // utime and stime, in ticks of 10 ms on every Linux there is.
    let ticks: u64 = [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Bytes of memory the process has.
pub(crate) fn resident(worker: &Worker) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
