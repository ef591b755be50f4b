//! Real brokers, which go the paths of the model.

use std::sync::Arc;

use afresh_harness::RedisServer;
use afresh_queue::{Broker, BrokerUrl, Clock, Timestamp, open};
use rand::rngs::StdRng;

use crate::path::Path;
use crate::protocol::{Protocol, Step};
use crate::server::Redis;
use crate::state::State;

/// 2026-01-01, when every clock starts.
const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// Where the model and a broker are not the same.
pub(crate) type Divergence = String;

/// One store with its workers' brokers, and a clock that the steps move.
pub(crate) struct Real {
    pub(crate) brokers: Vec<Arc<dyn Broker>>,
    pub(crate) clock: Clock,
    /// The server itself, where it is one that can lose its tail.
    pub(crate) redis: Option<Redis>,
    /// How many paths were gone.
    pub(crate) paths: usize,
}

impl Real {
    pub(crate) async fn sqlite() -> Self {
        let clock = Clock::manual(START);
        let broker = open(&BrokerUrl::memory(), clock.clone()).await.expect("a database in memory opens");
        Self { brokers: vec![broker; 2], clock, redis: None, paths: 0 }
    }

    /// Each worker with a connection of its own, as it would have.
    pub(crate) async fn redis() -> Self {
        let server = RedisServer::start();
        let clock = Clock::manual(START);
        let url = server.url().parse().expect("the harness's URL is one");
        let mut brokers = Vec::new();
        for _ in 0..2 {
            brokers.push(open(&url, clock.clone()).await.expect("a broker is made without its server"));
        }
        Self { brokers, clock, redis: Some(Redis::of(server)), paths: 0 }
    }

    /// Goes a path of the model, and compares what comes of each step.
    pub(crate) async fn go(
        &mut self,
        protocol: &Protocol,
        path: &[(State, Option<Step>)],
        random: &mut StdRng,
    ) -> Result<(), Divergence> {
        self.paths += 1;
        let mut gone = Path::begin(self, protocol, random).await;
        for (number, steps) in (1..).zip(path.windows(2)) {
            let [(before, Some(step)), (after, _)] = steps else { unreachable!("steps lie between states") };
            if let Err(divergence) = gone.take(*step, before, after).await {
                let steps: String = path[..number].iter().map(|(_, step)| format!("- {step:?}\n")).collect();
                return Err(format!("\n{steps}{divergence}\nthe model says {:?}", after.store));
            }
        }
        gone.clear(&path[path.len() - 1].0).await;
        Ok(())
    }
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, broker: T, model: T) -> Result<(), Divergence> {
    if broker == model { Ok(()) } else { Err(format!("{what}: the broker says {broker:?}, the model {model:?}")) }
}
