//! What a person should know of a broker before trusting it with jobs: each finding says what is so, and what to do
//! where that is not as it should be.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::broker::BrokerError;
use crate::clock::Timestamp;

/// How often a checkup asks a broker to learn how fast it answers.
pub(crate) const ROUND_TRIPS: usize = 20;

/// How far two clocks may be apart before a person should know.
const CLOCKS_APART: Duration = Duration::from_secs(1);

/// How long the slowest answer may take.
const WORST: Duration = Duration::from_secs(1);

/// How good or bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and a person should know what it may cost.
    Warning,
    /// Jobs are in danger, or nothing works.
    Problem,
}

/// One thing that was looked at: `doctor --json`. A contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about, in a word or two.
    pub about: String,
    /// How good or bad it is.
    pub level: Level,
    /// What was found, in one sentence.
    pub found: String,
    /// What to do; `None` where all is well.
    pub to_do: Option<String>,
}

/// A broker that can be looked over.
#[async_trait]
pub trait Checkup {
    /// Looks the broker over, in a second or two. Changes nothing that lasts.
    ///
    /// # Errors
    /// The broker's own, where it cannot be asked at all. What it refuses by itself is a finding.
    async fn checkup(&self) -> Result<Vec<Finding>, BrokerError>;
}

impl Finding {
    /// All is well.
    pub fn ok(about: &str, found: impl Into<String>) -> Self {
        Self { about: about.to_owned(), level: Level::Ok, found: found.into(), to_do: None }
    }

    /// It works, at a price.
    pub fn warning(about: &str, found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { level: Level::Warning, to_do: Some(to_do.into()), ..Self::ok(about, found) }
    }

    /// It does not work, or jobs are in danger.
    pub fn problem(about: &str, found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { level: Level::Problem, to_do: Some(to_do.into()), ..Self::ok(about, found) }
    }
}

/// How fast a broker answers: `usual` is how long its median may be.
pub(crate) fn latency(what: &str, mut times: Vec<Duration>, usual: Duration, to_do: &str) -> Finding {
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    let found = format!("{} {what}: {median:.1?} in the median, {worst:.1?} at worst", times.len());
    if median > usual || worst > WORST {
        return Finding::warning("latency", format!("{found}; every job waits for that several times"), to_do);
    }
    Finding::ok("latency", found)
}

/// How far a broker's clock is from this machine's.
pub(crate) fn clocks(broker: Timestamp, here: Timestamp) -> Finding {
    let apart = broker.until_from(here).max(here.until_from(broker));
    if apart <= CLOCKS_APART {
        return Finding::ok("clock", format!("{apart:.1?} from this machine's"));
    }
    let side = if broker > here { "ahead of" } else { "behind" };
    Finding::warning(
        "clock",
        format!(
            "the broker's clock is {apart:.1?} {side} this machine's: leases do not mind, but a time that is reckoned here \
             comes that much too early or too late"
        ),
        "let both machines follow a time server (NTP)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_broker_is_warned_of_by_its_median_and_by_its_worst_answer() {
        let millis = |millis: &[u64]| millis.iter().map(|&ms| Duration::from_millis(ms)).collect::<Vec<_>>();
        let judge = |times: &[u64]| latency("round trips", millis(times), Duration::from_millis(20), "move it");
        let fine = judge(&[1, 2, 900, 3, 4]);
        assert_eq!(
            (fine.level, fine.found.as_str()),
            (Level::Ok, "5 round trips: 3.0ms in the median, 900.0ms at worst")
        );
        assert_eq!(judge(&[1, 30, 31]).level, Level::Warning);
        assert_eq!(judge(&[1, 1, 1, 1_500]).to_do.as_deref(), Some("move it"));
        assert_eq!(judge(&[]).level, Level::Ok);
    }

    #[test]
    fn clocks_that_differ_are_warned_of_whoever_is_ahead() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000);
        assert_eq!(clocks(at(10), at(11)).level, Level::Ok);
        let ahead = clocks(at(70), at(10));
        assert!(ahead.level == Level::Warning && ahead.found.contains("60.0s ahead of"), "{ahead:?}");
        assert!(clocks(at(10), at(70)).found.contains("60.0s behind"));
    }
}
