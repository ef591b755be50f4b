//! A Redis Cluster: three primaries, each with a replica that takes its place when it is heard no more.

use crate::redis_server::RedisServer;
use crate::{SOON, wait_until};

/// The slots of each primary, the first and the last.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// A cluster of six servers. Dropping it kills them.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// A cluster that replaces no node, however busy its machine is.
    ///
    /// # Panics
    /// As for [`RedisServer::start`], or if the servers do not become a cluster.
    pub fn start() -> Self {
        Self::start_with("60000")
    }

    /// A cluster that replaces a node as soon as it is silent for a second and a half.
    ///
    /// # Panics
    /// As for [`RedisCluster::start`].
    pub fn start_hasty() -> Self {
        Self::start_with("1500")
    }

    fn start_with(node_timeout_millis: &str) -> Self {
        let (nodes, buses): (Vec<_>, Vec<_>) = (0..2 * SLOTS.len()).map(|_| node(node_timeout_millis)).unzip();
        for (number, ((first, last), node)) in SLOTS.iter().zip(&nodes).enumerate() {
            ok(node, &format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
            ok(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
        }
        for (node, bus) in nodes.iter().zip(buses).skip(1) {
            ok(&nodes[0], &format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.address().port()));
        }
        let known = format!("cluster_known_nodes:{}\r", nodes.len());
        let all =
            |says: &str| wait_until(SOON, || nodes.iter().all(|node| node.command("CLUSTER INFO").contains(says)));
        assert!(all(&known), "the nodes do not find each other");
        let (primaries, replicas) = nodes.split_at(SLOTS.len());
        for (primary, replica) in primaries.iter().zip(replicas) {
            let id = primary.command("CLUSTER MYID");
            let id = id.lines().nth(1).expect("a node says its id");
            // It must have heard that the other is a primary.
            let replicates = || replica.command(&format!("CLUSTER REPLICATE {id}")).starts_with("+OK");
            assert!(wait_until(SOON, replicates), "a replica finds no primary");
        }
        let in_step = || replicas.iter().all(|node| node.command("INFO replication").contains("master_link_status:up"));
        assert!(all("cluster_state:ok") && wait_until(SOON, in_step), "the nodes do not become a cluster");
        Self { nodes }
    }

    /// Where it is: `redis+cluster://127.0.0.1:PORT,…`, with every node.
    pub fn url(&self) -> String {
        let places: Vec<_> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        format!("redis+cluster://{}", places.join(","))
    }

    /// Its servers.
    pub fn nodes(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// The server that has this key now.
    ///
    /// # Panics
    /// If none has its slot.
    pub fn primary_of(&mut self, key: &str) -> &mut RedisServer {
        let has = |node: &mut RedisServer| node.is_up() && node.command(&format!("EXISTS {key}")).starts_with(':');
        self.nodes.iter_mut().find_map(|node| has(node).then_some(node)).expect("a node has each slot")
    }

    /// Empties it.
    pub fn flush(&self) {
        for node in &self.nodes {
            // A replica refuses, and is emptied by its primary.
            node.command("FLUSHALL SYNC");
        }
    }
}

/// A server that is to become part of a cluster, and the port of its bus.
fn node(timeout_millis: &str) -> (RedisServer, String) {
    // Else a replica that has not heard from its primary for some seconds, on a busy machine, stands back for ever.
    let always = ["--cluster-replica-validity-factor", "0"];
    let node = RedisServer::start_node(&[["--cluster-node-timeout", timeout_millis], always].concat());
    let answer = node.command("CONFIG GET cluster-port");
    let bus = answer.lines().last().expect("a node has a bus").to_owned();
    (node, bus)
}

fn ok(node: &RedisServer, command: &str) {
    let answer = node.command(command);
    assert!(answer.starts_with("+OK"), "{command}: {answer}");
}
