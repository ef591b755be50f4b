//! `afresh doctor`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use afresh_harness::{RedisCluster, RedisServer, SOON, wait_until};
use serde_json::Value;

use crate::cli::{Cli, on_each_broker};

/// What the doctor says, as a program reads it, and its exit code.
fn findings(cli: &Cli) -> (Vec<Value>, i32) {
    let run = cli.run(&["doctor", "--json"]);
    let text = String::from_utf8(run.stdout.clone()).unwrap();
    (serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {run:?}")), run.code)
}

/// The one finding about this.
#[track_caller]
fn about<'a>(findings: &'a [Value], what: &str) -> &'a Value {
    let mut found = findings.iter().filter(|finding| finding["about"] == what);
    let one = found.next().unwrap_or_else(|| panic!("nothing about {what}: {findings:#?}"));
    assert!(found.next().is_none(), "more than one about {what}: {findings:#?}");
    one
}

#[track_caller]
fn says(finding: &Value, level: &str, found: &str, to_do: &str) {
    let fits = finding["level"] == level
        && finding["found"].as_str().is_some_and(|text| text.contains(found))
        && finding["to_do"].as_str().is_some_and(|text| text.contains(to_do));
    assert!(fits, "{finding:#} is no {level} that says {found:?} and {to_do:?}");
}

#[test]
fn a_fit_broker_and_machine_have_no_problem_and_every_finding_has_its_shape() {
    on_each_broker(|cli| {
        fs::create_dir(cli.folder.path().join("tasks")).unwrap();
        let (findings, code) = findings(cli);
        assert_eq!(code, 0, "{findings:#?}");
        for what in ["broker", "version", "persistence", "writes", "latency", "clock"] {
            about(&findings, what);
        }
        for what in ["cores", "budget", "swap", "overcommit", "open files", "sandbox", "instances", "tasks", "cache"] {
            about(&findings, what);
        }
        assert_eq!(about(&findings, "sandbox")["level"], "ok");
        for finding in &findings {
            assert!(finding["found"].as_str().is_some_and(|text| !text.is_empty()), "{finding:#}");
            assert_eq!(finding["to_do"].is_null(), finding["level"] == "ok", "{finding:#}");
        }
        let page = cli.run(&["doctor"]).ok();
        assert!(page.contains("ok       sandbox") && page.contains("0 problems, "), "{page}");
    });
}

#[test]
fn a_redis_that_throws_jobs_away_is_a_problem_with_what_to_do() {
    let cli = Cli::redis();
    cli.server().command("CONFIG SET maxmemory-policy allkeys-lru");
    says(about(&findings(&cli).0, "eviction"), "warning", "harmless only", "maxmemory-policy noeviction");
    cli.server().command("CONFIG SET maxmemory 100mb");
    let (found, code) = findings(&cli);
    assert_eq!(code, 1, "{found:#?}");
    says(about(&found, "eviction"), "problem", "throws jobs away", "set `maxmemory-policy noeviction`");
    let page = cli.run(&["doctor"]);
    assert_eq!(page.code, 1);
    assert!(!page.stderr.contains("throws jobs away"), "said once, on the page: {page:?}");
}

#[test]
fn what_a_redis_may_lose_is_said() {
    let cli = Cli::redis();
    says(about(&findings(&cli).0, "persistence"), "warning", "loses every job", "set `appendonly yes`");
    cli.server().command("CONFIG SET save 3600\\ 1");
    cli.server().command("CONFIG SET appendonly yes");
    let (found, _) = findings(&cli);
    let persistence = about(&found, "persistence");
    assert_eq!(persistence["level"], "ok");
    assert!(persistence["found"].as_str().unwrap().contains("about the last second"), "{persistence:#}");
}

#[test]
fn what_a_failover_may_cost_is_said() {
    let cli = Cli::redis();
    assert!(about(&findings(&cli).0, "replicas")["found"].as_str().unwrap().starts_with("none"));
    let replica = RedisServer::start();
    let primary = cli.server().address();
    replica.command(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    let there = || cli.server().command("INFO replication").contains("connected_slaves:1");
    assert!(wait_until(SOON, there), "the replica does not connect");
    let (found, code) = findings(&cli);
    assert_eq!(code, 0, "{found:#?}");
    says(about(&found, "replicas"), "warning", "a failover may lose", "min-replicas-to-write 1");
}

#[test]
fn a_cluster_is_looked_over_node_by_node() {
    let mut cluster = RedisCluster::start();
    let node = cluster.primary_of("afresh:{mail}");
    node.command("CONFIG SET maxmemory-policy allkeys-lru");
    node.command("CONFIG SET maxmemory 100mb");
    let address = node.address().to_string();
    let (found, code) = findings(&Cli::on(cluster.url()));
    assert_eq!(code, 1, "{found:#?}");
    says(about(&found, "eviction"), "problem", &format!("{address}: allkeys-lru"), "noeviction");
    about(&found, "memory");
    let (found, _) = findings(&Cli::on(format!("redis://{address}")));
    says(about(&found, "version"), "problem", "is a node of a Redis Cluster", "write that URL");
}

#[test]
fn a_server_that_forbids_config_is_no_error() {
    let cli = Cli::redis();
    cli.server().command("CONFIG SET appendonly yes");
    cli.server().command("ACL SETUSER default -config");
    let (found, code) = findings(&cli);
    assert_eq!(code, 0, "{found:#?}");
    says(about(&found, "persistence"), "warning", "could not be asked", "appendfsync");
}

#[test]
fn a_replica_and_a_full_server_are_problems() {
    let cli = Cli::redis();
    cli.server().command("CONFIG SET maxmemory 1");
    let (found, code) = findings(&cli);
    assert_eq!(code, 1);
    says(about(&found, "writes"), "problem", "has reached its memory limit", "no job can be enqueued");
    cli.server().command("CONFIG SET maxmemory 0");
    cli.server().command("REPLICAOF 127.0.0.1 1");
    says(about(&findings(&cli).0, "role"), "problem", "a replica", "point the broker's URL at the primary");
}

#[test]
fn a_broker_that_is_not_there_is_one_problem_beside_what_the_machine_says() {
    let cli = Cli::on("redis://ann:s3cret@127.0.0.1:1");
    let (found, code) = findings(&cli);
    assert_eq!(code, 1);
    assert!(!format!("{found:?}").contains("s3cret"), "{found:#?}");
    says(about(&found, "broker"), "problem", "redis://127.0.0.1:1 cannot be reached", "--broker or AFRESH_BROKER");
    assert_eq!(found.iter().filter(|finding| finding["level"] == "problem").count(), 1, "{found:#?}");
    about(&found, "sandbox");

    let cli = Cli::sqlite();
    cli.file("jobs.db", "a letter to a friend\n".repeat(100));
    let (found, code) = findings(&cli);
    assert_eq!(code, 1);
    says(about(&found, "broker"), "problem", "is not a file of Afresh", "name another one");

    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let cli = Cli::on(format!("redis://:s3cret@{}", server.address()));
    says(about(&findings(&cli).0, "broker"), "problem", "refuses the login", "mend it");
}

#[test]
fn folders_that_others_may_write_to_are_problems() {
    let cli = Cli::sqlite();
    let folder = |name: &str, mode| {
        let folder = cli.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    };
    folder("tasks", 0o777);
    folder(".afresh/cache", 0o755);
    let (found, code) = findings(&cli);
    assert_eq!(code, 1);
    says(about(&found, "tasks"), "problem", "every user of this machine may put code into tasks", "chmod o-w tasks");
    says(about(&found, "cache"), "problem", "no worker starts: others may look into it", "worker.cache");
    folder("elsewhere", 0o755);
    folder(".afresh/cache", 0o700);
    assert_eq!(cli.run(&["doctor", "--tasks", "elsewhere", "--json"]).code, 0);
}
