//! A primary and its replica under the watch of three sentinels, which promote the replica a second or two after the
//! primary was last heard.

use crate::redis_server::RedisServer;
use crate::{SOON, wait_until};

/// What the sentinels call the primary.
const NAME: &str = "afresh";

/// Two servers and three sentinels.
pub struct Sentinels {
    servers: [RedisServer; 2],
    sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// Servers with these options, the replica in step with the primary, and sentinels that know each other.
    ///
    /// # Panics
    /// As for [`RedisServer::start`], or if they do not find each other.
    pub fn start_with(options: &[&str]) -> Self {
        let primary = RedisServer::start_with(options);
        let port = primary.address().port().to_string();
        let replica = RedisServer::start_with(&[options, &["--replicaof", &format!("127.0.0.1 {port}")]].concat());
        let lines = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 5000\n"
        );
        let sentinels: Vec<_> = (0..3).map(|_| RedisServer::start_sentinel(&lines)).collect();
        let ready = |sentinel: &RedisServer| {
            let master = sentinel.command(&format!("SENTINEL MASTER {NAME}")).replace("\r\n", " ");
            master.contains(" num-slaves $1 1 ") && master.contains(" num-other-sentinels $1 2 ")
        };
        let together = wait_until(SOON, || {
            replica.command("INFO replication").contains("master_link_status:up") && sentinels.iter().all(ready)
        });
        assert!(together, "the sentinels do not find the servers and each other");
        Self { servers: [primary, replica], sentinels }
    }

    /// Where the sentinels are: `redis+sentinel://127.0.0.1:PORT,…/afresh`.
    pub fn url(&self) -> String {
        let places: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{NAME}", places.join(","))
    }

    /// The server that is the primary now.
    ///
    /// # Panics
    /// If there is none that runs.
    pub fn primary(&mut self) -> &mut RedisServer {
        let is_primary = |server: &mut RedisServer| server.is_up() && server.command("ROLE").contains("master");
        self.servers.iter_mut().find_map(|server| is_primary(server).then_some(server)).expect("one is the primary")
    }

    /// The sentinels.
    pub fn sentinels(&mut self) -> &mut [RedisServer] {
        &mut self.sentinels
    }
}
