//! Every guest in `tests/guests` (`hostile` and `plain`) does one thing and names in its first line what must become of it:
//!
//! ```text
//! ;; OUTCOME key=value key="a text" …
//! ```
//! Limits: `timeout_ms`, `memory`, `fuel`, `output`, `error`, `log`. Input: `payload`. Expected: `says` (part of the error's
//! message), `kind` (of the error; the outcome where it is not given), `error_bytes`, `reply`, `retry_after_ms`, `log` as
//! a text (part of the log), `log_at_most` (bytes kept), `progress`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use afresh_sandbox::{Call, Cancel, InUse, Limits, Outcome, Report, Sandbox, SandboxConfig};

#[test]
fn every_guest_ends_as_its_first_line_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests");
    let folders = ["hostile", "plain"].map(|name| folder.join(name).read_dir().expect("the folder of guests"));
    // One of its own, so that nobody else's attempts are among those left behind.
    let sandbox = Sandbox::new(&SandboxConfig::default()).expect("this machine can run guests");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in folders.into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a readable guest");
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Err(difference) = check_guest(&sandbox, &text) {
            wrong.push(format!("{name}: {difference}"));
        }
        count += 1;
    }
    assert!(count > 40, "only {count} guests were found");
    assert!(wrong.is_empty(), "{} of {count} guests:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(sandbox.in_use(), InUse::default(), "something is left behind");
}

/// Runs one guest; an error says what is not as its first line has it.
fn check_guest(sandbox: &Sandbox, text: &str) -> Result<(), String> {
    let expected = Expected::parse(text);
    let wasm = wat::parse_str(text).map_err(|e| e.to_string())?;
    let limits = expected.limits();
    let module = if limits.fuel.is_some() { sandbox.load_metered(&wasm) } else { sandbox.load(&wasm) };
    let module = module.map_err(|e| format!("refused: {e}"))?;
    let call = Call {
        task: "guest".to_owned(),
        payload: expected.text("payload").unwrap_or_default().into(),
        env: vec![("KEY".to_owned(), "1".to_owned())],
        ..Call::default()
    };
    let started = Instant::now();
    let report = sandbox.run(&module, call, &limits, &Cancel::new()).map_err(|e| format!("failed to {e}"))?;
    if started.elapsed() > limits.timeout + Duration::from_secs(5) {
        return Err(format!("took {:?}", started.elapsed()));
    }
    if report.usage.fuel.is_some() != limits.fuel.is_some() {
        return Err(format!("used fuel {:?}", report.usage.fuel));
    }
    expected.compare(&report)
}

struct Expected {
    outcome: String,
    values: BTreeMap<String, String>,
}

impl Expected {
    fn parse(text: &str) -> Self {
        let line = text.lines().next().and_then(|line| line.strip_prefix(";; ")).expect("a first line `;; outcome`");
        let (outcome, mut rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut values = BTreeMap::new();
        while let Some((key, after)) = rest.trim_start().split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').expect("a closing quote"),
                None => after.split_once(' ').unwrap_or((after, "")),
            };
            values.insert(key.to_owned(), value.to_owned());
            rest = after;
        }
        Self { outcome: outcome.to_owned(), values }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            memory: self.number("memory").unwrap_or(usual.memory),
            timeout: Duration::from_millis(self.number("timeout_ms").unwrap_or(10_000)),
            fuel: self.number("fuel"),
            output: self.number("output").unwrap_or(usual.output as u64) as usize,
            error: self.number("error").unwrap_or(usual.error as u64) as usize,
            log: self.number("log_at_most").unwrap_or(usual.log as u64) as usize,
            ..usual
        }
    }

    fn compare(&self, report: &Report) -> Result<(), String> {
        let same = |what: &str, found: &dyn ToString| match self.text(what) {
            Some(wanted) if wanted != found.to_string() => {
                Err(format!("{what} is {:?}, not {wanted:?}: {report:?}", found.to_string()))
            }
            _ => Ok(()),
        };
        if report.outcome.kind().as_str() != self.outcome {
            return Err(format!("ended as {report:?}"));
        }
        let log: Vec<_> = report.log.iter().map(|line| line.text.as_str()).collect();
        if !log.join("\n").contains(self.text("log").unwrap_or_default()) {
            return Err(format!("logged {log:?}"));
        }
        if log.concat().len() as u64 > self.number("log_at_most").unwrap_or(u64::MAX) {
            return Err(format!("kept {} bytes of log", log.concat().len()));
        }
        same("progress", &report.progress.unwrap_or(f64::NAN))?;
        match &report.outcome {
            Outcome::Succeeded(reply) => same("reply", &String::from_utf8_lossy(reply))?,
            Outcome::Snoozed(delay) => same("retry_after_ms", &delay.as_millis())?,
            Outcome::Failed { retry_after, .. } => {
                same("retry_after_ms", &retry_after.unwrap_or_default().as_millis())?
            }
            _ => {}
        }
        let Some(error) = report.outcome.error() else { return Ok(()) };
        same("error_bytes", &error.total_bytes)?;
        if error.kind != self.text("kind").unwrap_or(&self.outcome) {
            return Err(format!("the error's kind is {}", error.kind));
        }
        if error.message.len() > self.limits().error + 100 {
            return Err(format!("the error has {} bytes", error.message.len()));
        }
        match self.text("says") {
            Some(says) if !error.message.contains(says) => Err(format!("says {:?}", error.message)),
            _ => Ok(()),
        }
    }
}
