//! The memory budget: however many guests want however much, the worker never has more than it was given.

use afresh_queue::{JobOptions, NewJob};

use crate::cgroup::Cgroup;
use crate::felt;
use crate::site::{Site, hasty, on_each_broker, outcomes};

const MIB: u64 = 1 << 20;

/// What attempts may take together.
const BUDGET: u64 = 512 * MIB;

/// What the worker itself may take besides.
const WORKER: u64 = 64 * MIB;

/// A bit more, where the kernel draws the line: the cached pages of files count there as well.
const CGROUP: u64 = BUDGET + WORKER + 32 * MIB;

/// Takes a page, touches it, and so on until it gets no more; then it aborts.
const BOMB: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_start") (local $at i32)
        (loop $more
            (local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
            (if (i32.eq (local.get $at) (i32.const -65536)) (then unreachable))
            (memory.fill (local.get $at) (i32.const 7) (i32.const 65536))
            (br $more))))"#;

on_each_broker!(sixty_four_bombs_of_256_mib_stay_within_a_budget_of_512_mib);

fn sixty_four_bombs_of_256_mib_stay_within_a_budget_of_512_mib(site: &mut Site) {
    site.task("bomb", BOMB);
    let broker = if site.redis.is_some() { "redis" } else { "sqlite" };
    let cgroup = Cgroup::with_memory(broker, CGROUP)
        .inspect_err(|reason| eprintln!("NOT CHECKED: whether the kernel kills the worker: {reason}"))
        .ok();
    let worker = site.worker().slots(64).memory_budget("512MiB").start();
    if let Some(cgroup) = &cgroup {
        cgroup.add(worker.pid());
    }
    worker.says("worker started");
    let bomb = || NewJob::new("bomb", "").options(JobOptions { memory: Some(256 * MIB), ..hasty(1) });
    let ids = site.enqueue_all((0..64).map(|_| bomb()).collect());
    for id in &ids {
        let job = site.dies(id);
        assert_eq!(outcomes(&job), ["out_of_memory"], "{job:#?}");
        assert_eq!(job.attempts[0].usage.peak_memory_bytes, 256 * MIB);
    }
    let peak = felt::peak(&worker);
    println!("64 guests took 256 MiB each; the worker never had more than {} MiB", peak / MIB);
    assert!(peak > 256 * MIB, "the guests did not touch their memory: {peak}");
    assert!(peak <= BUDGET + WORKER, "the worker had {} MiB", peak / MIB);
    assert_eq!(worker.count("attempt lost"), 0);
    if let Some(cgroup) = &cgroup {
        assert_eq!(cgroup.kills().unwrap(), 0, "the kernel killed a process for memory");
    }
    drop(worker);
}
