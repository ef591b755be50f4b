//! Looks this machine over as a worker would meet it: whether guests can be stopped here, and what may go wrong later.
//! What a broker is asked is its own business: [`afresh_queue::Checkup`].

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use afresh_queue::Finding;
use afresh_sandbox::{ENGINE, Sandbox};
use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit};

use crate::compiler::private::not_private;
use crate::config::Config;
use crate::{machine, setup};

/// So many open files are enough for a worker with all its connections, watches and compiling children.
const FILES: u64 = 256;

/// Everything that can be found out without a broker.
pub fn look_over(config: &Config) -> Vec<Finding> {
    let mut findings = vec![cores(setup::slots(config)), budget(config)];
    findings.push(swap(machine::swap()));
    findings.push(overcommit(machine::overcommit().as_deref()));
    findings.push(files(getrlimit(Resource::Nofile).current));
    findings.extend(sandbox(config));
    findings.push(tasks(&config.worker.tasks));
    findings.push(cache(&config.worker.cache));
    findings
}

fn cores(slots: usize) -> Finding {
    let cores = machine::cores();
    let found = format!("{cores} cores, {slots} slots");
    if slots > cores.saturating_mul(8) {
        let to_do = "lower worker.concurrency, unless the tasks mostly wait: a time-out counts while others compute";
        return Finding::warning("cores", found, to_do);
    }
    Finding::ok("cores", found)
}

fn budget(config: &Config) -> Finding {
    let (bytes, there_is) = (setup::memory_budget(config), machine::memory());
    let found = format!("guests may take {} of the {} of memory here", ByteSize(bytes), ByteSize(there_is));
    if bytes > there_is / 100 * 95 {
        let to_do = "lower worker.memory_budget: the kernel ends a process that takes more than there is";
        return Finding::warning("budget", found, to_do);
    }
    Finding::ok("budget", found)
}

fn swap(bytes: u64) -> Finding {
    match bytes {
        0 => Finding::ok("swap", "none"),
        bytes => Finding::warning(
            "swap",
            format!("{}: what guests hold in memory may be written to disk, and attempts get slow", ByteSize(bytes)),
            "switch it off (`swapoff -a`), or for the worker alone (`MemorySwapMax=0` in systemd)",
        ),
    }
}

/// `setting` is the kernel's `vm.overcommit_memory`; `None` where there is no such thing.
fn overcommit(setting: Option<&str>) -> Finding {
    match setting {
        Some("2") => Finding::warning(
            "overcommit",
            "the kernel promises no more memory than it has: instances may find no address space",
            "set vm.overcommit_memory to 0 or 1, or look at `instances` below",
        ),
        Some(setting) => Finding::ok("overcommit", format!("vm.overcommit_memory is {setting}")),
        None => Finding::ok("overcommit", "not a setting of this system"),
    }
}

/// `limit` is `None` where there is none.
fn files(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < FILES => Finding::warning(
            "open files",
            format!("this process may open {limit}, a busy worker needs up to {FILES}"),
            format!("raise the limit: `ulimit -n {}`, or LimitNOFILE in systemd", 4 * FILES),
        ),
        Some(limit) => Finding::ok("open files", format!("up to {limit}")),
        None => Finding::ok("open files", "no limit"),
    }
}

/// Whether guests can be stopped here, and whether their instances come from a pool.
fn sandbox(config: &Config) -> Vec<Finding> {
    let report = "report this, with the kernel and the processor of this machine: no worker starts here";
    let sandbox = match Sandbox::new(&setup::sandbox_config(config)) {
        Ok(sandbox) => sandbox,
        Err(error) => return vec![Finding::problem("sandbox", format!("this machine failed to {error}"), report)],
    };
    let stopped = match sandbox.self_test() {
        Ok(()) => Finding::ok("sandbox", format!("{ENGINE}; a module that loops for ever is stopped")),
        Err(error) => Finding::problem("sandbox", format!("this machine failed to {error}"), report),
    };
    let pooled = match sandbox.on_demand() {
        None => Finding::ok("instances", "come from a pool"),
        Some(why) => Finding::warning(
            "instances",
            format!("are made one by one, which is slower: {why}"),
            "lift the limit on address space (`ulimit -v unlimited`), or lower worker.concurrency or limits.memory",
        ),
    };
    vec![stopped, pooled]
}

fn tasks(folder: &Path) -> Finding {
    let about = "tasks";
    let shown = folder.display();
    let Ok(meta) = fs::metadata(folder) else {
        return Finding::warning(
            about,
            format!("the tasks folder {shown} is not there; only a worker needs it"),
            format!("build tasks into it (`afresh build --out {shown}`), or name another with --tasks"),
        );
    };
    match meta.permissions().mode() {
        mode if mode & 0o002 != 0 => Finding::problem(
            about,
            format!("every user of this machine may put code into {shown}"),
            format!("`chmod o-w {shown}`"),
        ),
        mode if mode & 0o020 != 0 => Finding::warning(
            about,
            format!("everybody in its group may put code into {shown}"),
            format!("`chmod g-w {shown}`, unless that is how tasks are deployed"),
        ),
        _ => Finding::ok(about, format!("only its owner may put code into {shown}")),
    }
}

fn cache(folder: &Path) -> Finding {
    let about = "cache";
    let shown = folder.display();
    match not_private(folder) {
        Ok(None) => Finding::ok(about, format!("{shown} is private to this user")),
        Ok(Some(why)) => Finding::problem(
            about,
            format!("{shown} is not private to this user, so no worker starts: {why}"),
            "remove it, or name another folder with worker.cache",
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok(about, format!("{shown} is not there yet; a worker makes it, for its user alone"))
        }
        Err(error) => Finding::problem(
            about,
            format!("{shown} cannot be looked at: {error}"),
            "give this user access to it, or name another folder with worker.cache",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use afresh_queue::Level;

    fn mode(folder: &Path, mode: u32) {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folders_that_others_may_write_to_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (bits, of_tasks, of_cache) in [
            (0o700, Level::Ok, Level::Ok),
            (0o755, Level::Ok, Level::Problem),
            (0o770, Level::Warning, Level::Problem),
            (0o777, Level::Problem, Level::Problem),
        ] {
            mode(path, bits);
            assert_eq!((tasks(path).level, cache(path).level), (of_tasks, of_cache), "{bits:o}");
        }
        let nowhere = path.join("nowhere");
        assert_eq!((tasks(&nowhere).level, cache(&nowhere).level), (Level::Warning, Level::Ok));
    }

    #[test]
    fn what_the_kernel_allows_is_judged() {
        assert_eq!((swap(0).level, swap(1 << 30).level), (Level::Ok, Level::Warning));
        let levels = [Some("0"), Some("1"), Some("2"), None].map(|setting| overcommit(setting).level);
        assert_eq!(levels, [Level::Ok, Level::Ok, Level::Warning, Level::Ok]);
        let levels = [Some(64), Some(1_024), None].map(|limit| files(limit).level);
        assert_eq!(levels, [Level::Warning, Level::Ok, Level::Ok]);
    }

    #[test]
    fn a_budget_beyond_what_there_is_and_a_crowd_of_slots_are_warned_of() {
        let judge = |text: &str| budget(&Config::parse(text).unwrap()).level;
        assert_eq!((judge(""), judge("[worker]\nmemory_budget = \"900 TiB\"")), (Level::Ok, Level::Warning));
        assert_eq!((cores(1).level, cores(10_000).level), (Level::Ok, Level::Warning));
    }
}
