//! Redis loses a server while workers work and a producer goes on: what was acknowledged and replicated by then ends, and
//! so does all that is acknowledged afterwards. Replication is asynchronous, so what was acknowledged in between may be
//! lost: that window is measured, and nothing outside it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use afresh_harness::{RedisCluster, SOON, Sentinels, wait_until};
use afresh_queue::{JobId, NewJob};

use crate::guests;
use crate::site::Site;

/// A job that the broker has acknowledged.
struct Acknowledged {
    id: JobId,
    asked: Instant,
    answered: Instant,
}

#[test]
fn work_goes_on_when_sentinels_replace_the_primary() {
    let mut servers = Sentinels::start_with(&["--appendonly", "yes"]);
    let site = Site::on(&servers.url());
    survives(&site, || {
        servers.primary().wait_for_replicas();
        servers.primary().kill();
    });
}

#[test]
fn work_goes_on_when_a_cluster_replaces_a_node() {
    let mut cluster = RedisCluster::start_hasty();
    let site = Site::on(&cluster.url());
    survives(&site, || {
        let node = cluster.primary_of("afresh:{default}:seq");
        node.wait_for_replicas();
        node.kill();
    });
}

/// Tells a producer that it is enough, even where the test fails.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn survives(site: &Site, lose: impl FnOnce()) {
    site.task("nap", &guests::nap(5, "rested"));
    let workers = [0, 1].map(|_| site.worker().slots(2).lease("5s").start());
    let (known, enough) = (Mutex::new(Vec::<Acknowledged>::new()), AtomicBool::new(false));
    let so_many = |count, since: Instant| {
        let is_so = || known.lock().unwrap().iter().filter(|job| job.asked >= since).count() >= count;
        assert!(wait_until(SOON, is_so), "no jobs are acknowledged:\n{}", workers[0].log());
    };
    let (safe_until, safe_from) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::SeqCst) {
                let asked = Instant::now();
                // Again and again under the same id, until it is answered.
                let id = site.enqueue(NewJob::new("nap", ""));
                known.lock().unwrap().push(Acknowledged { id, asked, answered: Instant::now() });
            }
        });
        let _enough = Enough(&enough);
        so_many(50, Instant::now());
        let safe_until = Instant::now();
        lose();
        let safe_from = Instant::now();
        so_many(50, safe_from);
        (safe_until, safe_from)
    });
    let (mut in_window, mut lost) = (0, 0);
    for Acknowledged { id, asked, answered } in known.into_inner().unwrap() {
        if answered < safe_until || asked >= safe_from {
            assert_eq!(site.succeeds(&id), "rested");
        } else {
            in_window += 1;
            lost += usize::from(site.find(&id).is_none());
        }
    }
    println!("{in_window} jobs were acknowledged while replicas may have been behind, {lost} of them are lost");
}
