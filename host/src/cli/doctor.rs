//! `afresh doctor`: whether broker and machine are fit for work, and what to do where they are not.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use afresh_queue::{Finding, Level};

use super::page::cell;
use super::{Session, block_on};
use crate::doctor;

/// How long a broker may take to be looked over.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks over broker and machine, and says what to do where something is wrong
#[derive(clap::Args, Debug)]
#[command(after_help = "The exit code is 0 where there is no problem; warnings do not count.")]
pub(super) struct Args {
    /// The folder of task modules that a worker here would have
    #[arg(long, value_name = "DIR", env = "AFRESH_TASKS")]
    tasks: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// When standard output is gone. What is wrong is no error here, but makes the exit code 1.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    let mut config = session.config.clone();
    config.worker.tasks = args.tasks.unwrap_or(config.worker.tasks);
    let mut findings = block_on(async { Ok(broker(session).await) })?;
    findings.extend(doctor::look_over(&config));
    session.output.value(&findings, |findings| page(findings))?;
    let fine = findings.iter().all(|finding| finding.level < Level::Problem);
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the broker has to say; that it cannot be asked is a finding like any other.
async fn broker(session: &Session) -> Vec<Finding> {
    let url = session.broker_url();
    let asked = async {
        let broker = session.open_broker().await.map_err(|error| format!("{error:#}"))?;
        let found = broker.checkup().await.map_err(|error| error.to_string())?;
        Ok((broker.describe(), found))
    };
    let answer: Result<_, String> = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("{url} has not answered within {} s", PATIENCE.as_secs())),
    };
    match answer {
        Ok((place, found)) => std::iter::once(Finding::ok("broker", place)).chain(found).collect(),
        Err(reason) => {
            let to_do = "start or mend it, or name another one with --broker or AFRESH_BROKER";
            vec![Finding::problem("broker", reason, to_do)]
        }
    }
}

/// A line for each finding, one more for what to do, and the sum.
fn page(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        lines.push(format!("{level:<8} {:<12} {}", cell(&finding.about), cell(&finding.found)));
        lines.extend(finding.to_do.iter().map(|to_do| format!("{:<8} {:<12} -> {}", "", "", cell(to_do))));
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let some = |count, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    lines.push(String::new());
    lines.push(format!("{}, {}", some(count(Level::Problem), "problem"), some(count(Level::Warning), "warning")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_was_found_and_what_to_do_and_harms_no_terminal() {
        let findings = [
            Finding::ok("version", "Redis 7.2.4\u{1b}[31m"),
            Finding::warning("swap", "1 GiB", "switch it off"),
            Finding::problem("eviction", "it throws jobs away", "set noeviction"),
        ];
        let wanted = "ok       version      Redis 7.2.4\\u{1b}[31m\n\
                      warning  swap         1 GiB\n                      -> switch it off\n\
                      PROBLEM  eviction     it throws jobs away\n                      -> set noeviction\n\n\
                      1 problem, 1 warning";
        assert_eq!(page(&findings), wanted);
    }
}
