//! Setting and showing rules: each change is one script.

use std::time::Duration;

use async_trait::async_trait;

use super::keys::Keys;
use super::{RedisBroker, scripts};
use crate::broker::BrokerError;
use crate::control::{Control, Limit, QueueRules, Rate, Rule, Scope, version_held};
use afresh_protocol::policy::check_name;

#[async_trait]
impl Control for RedisBroker {
    async fn set_limit(&self, queue: &str, scope: &Scope, limit: &Limit) -> Result<(), BrokerError> {
        limit.check().map_err(BrokerError::Invalid)?;
        let most = limit.concurrency.map_or(-1, i64::from);
        let (interval, burst) = limit.rate.map_or((0, 0), |rate| (rate.every.as_micros() as u64, rate.burst));
        self.rule(queue, scope, [most.to_string(), interval.to_string(), burst.to_string(), String::new()]).await?;
        Ok(())
    }

    async fn set_paused(&self, queue: &str, scope: &Scope, paused: bool) -> Result<bool, BrokerError> {
        let paused = u8::from(paused).to_string();
        self.rule(queue, scope, [String::new(), String::new(), String::new(), paused]).await
    }

    async fn set_fair(&self, queue: &str, fair: bool) -> Result<bool, BrokerError> {
        check_name(queue).map_err(BrokerError::Invalid)?;
        let mut call = self.call(&scripts::FAIR, queue);
        call.arg(u8::from(fair));
        let ((), changed) = tokio::try_join!(self.list(queue), self.link.invoke(&call))?;
        Ok(changed)
    }

    async fn rules(&self) -> Result<Vec<QueueRules>, BrokerError> {
        let mut all = Vec::new();
        for queue in self.queue_names().await? {
            let rules = self.rules_of(&queue).await?;
            if rules.fair || !rules.rules.is_empty() || rules.newer > 0 {
                all.push(rules);
            }
        }
        Ok(all)
    }
}

impl RedisBroker {
    async fn rule(&self, queue: &str, scope: &Scope, change: [String; 4]) -> Result<bool, BrokerError> {
        check_name(queue).and_then(|()| scope.check()).map_err(BrokerError::Invalid)?;
        let mut call = self.call(&scripts::RULE, queue);
        call.arg(scope.to_string()).arg(&change);
        let ((), changed) = tokio::try_join!(self.list(queue), self.link.invoke(&call))?;
        Ok(changed)
    }

    async fn rules_of(&self, queue: &str) -> Result<QueueRules, BrokerError> {
        let keys = Keys::of(queue);
        let mut pipeline = redis::pipe();
        pipeline.hgetall(keys.limits()).hexists(keys.fair(), "since").zcard(keys.index(crate::State::Running));
        let (limits, fair, running): (Vec<(String, String)>, bool, u64) = self.link.pipeline(&pipeline).await?;
        let mut rules = Vec::with_capacity(limits.len());
        for (name, text) in limits {
            // One that cannot be read was not put there by us.
            let Some((scope, (limit, paused))) = Scope::parse(&name).zip(read_rule(&text)) else { continue };
            let mut pipeline = redis::pipe();
            pipeline.hget(keys.busy(), &name).zcard(keys.held(&name));
            let (busy, held): (Option<u64>, u64) = self.link.pipeline(&pipeline).await?;
            let running = if scope == Scope::Queue { running } else { busy.unwrap_or_default() };
            rules.push(Rule { scope, limit, paused, running, held });
        }
        rules.sort_by(|a, b| a.scope.cmp(&b.scope));
        Ok(QueueRules { queue: queue.to_owned(), fair, rules, newer: self.held_for_newer(&keys).await? })
    }

    /// How many jobs are held because a newer version wrote their records.
    async fn held_for_newer(&self, keys: &Keys) -> Result<u64, BrokerError> {
        let holding: Vec<String> = self.link.query(redis::cmd("ZRANGE").arg(keys.again()).arg(0).arg(-1)).await?;
        let mut held = 0;
        for name in holding.iter().filter(|name| version_held(name).is_some()) {
            held += self.link.query::<u64>(redis::cmd("ZCARD").arg(keys.held(name))).await?;
        }
        Ok(held)
    }
}

/// A rule as `rule.lua` keeps it: concurrency, interval in µs, burst, paused.
fn read_rule(text: &str) -> Option<(Limit, bool)> {
    let mut numbers = text.split(' ').map(|word| word.parse::<i64>().ok());
    let mut next = || numbers.next().flatten();
    let (most, interval, burst, paused) = (next()?, next()?, next()?, next()?);
    let rate = (interval > 0).then(|| Rate {
        every: Duration::from_micros(interval.unsigned_abs()),
        burst: u32::try_from(burst).unwrap_or(u32::MAX),
    });
    Some((Limit { concurrency: u32::try_from(most).ok(), rate }, paused == 1))
}
