//! Which rights a user of Redis lacks. A script that may not run a command ends in the middle of its work, and the
//! server does not say which command it was: so a worker asks before it works, and whoever is refused asks afterwards.

use std::collections::BTreeSet;

use super::errors::lacks;
use super::link::Link;
use super::{keys, scripts};
use crate::broker::BrokerError;

/// Whether Redis says that a script was ended because its user lacks a right. Redis 7.0 says it in the first way.
pub(super) fn is_refusal(text: &str) -> bool {
    text.contains("The user executing the script can't") || text.contains("ACL failure in script")
}

/// The commands that a script runs.
pub(super) fn commands(source: &str) -> BTreeSet<&str> {
    let calls = ["redis.call('", "redis.pcall('", "in_parts('"];
    calls.iter().flat_map(|call| source.split(call).skip(1)).filter_map(|rest| rest.split('\'').next()).collect()
}

impl Link {
    /// Checks that the user may run these commands in scripts.
    ///
    /// # Errors
    /// A sentence that names those that it may not run.
    pub(super) async fn check_rights(&self, commands: &BTreeSet<&str>) -> Result<(), BrokerError> {
        let mut call = scripts::RIGHTS.call(&[keys::CHECK]);
        call.arg(0);
        for &command in commands {
            call.arg(command);
        }
        let lacking: Vec<String> = self.invoke_once(&call).await?;
        if lacking.is_empty() { Ok(()) } else { Err(lacks(self.place(), &lacking)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_every_script_can_be_asked_about() {
        let known = include_str!("scripts/rights.lua");
        for command in scripts::ALL.iter().flat_map(|script| script.commands()) {
            assert!(known.contains(&format!("{command} = {{")), "rights.lua does not know {command}");
        }
        assert!(scripts::LEASE.commands().contains("ZPOPMIN"));
    }
}
