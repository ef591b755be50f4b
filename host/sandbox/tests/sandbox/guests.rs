//! Every guest of `tests/guests` ends in the sandbox as its first line says, and leaves nothing there.

use std::time::{Duration, Instant};

use afresh_harness::SOON;
use afresh_harness::catalogue::{self, Case, ERROR, LOG, OUTPUT};
use afresh_sandbox::{Call, Cancel, InUse, Limits, Outcome, Report, Sandbox, SandboxConfig};

#[test]
fn every_guest_ends_as_its_first_line_says() {
    // One of its own, so that nobody else's attempts are among those left behind.
    let sandbox = Sandbox::new(&SandboxConfig::default()).expect("this machine can run guests");
    let cases = [catalogue::hostile(), catalogue::plain()].concat();
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(difference) = check(&sandbox, case) {
            wrong.push(format!("{}: {difference}", case.name));
        }
        if sandbox.in_use() != InUse::default() {
            wrong.push(format!("{} leaves {:?} behind", case.name, sandbox.in_use()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} guests:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Runs one guest; an error says what is not as its first line has it.
fn check(sandbox: &Sandbox, case: &Case) -> Result<(), String> {
    let limits = limits(case);
    let load = if limits.fuel.is_some() { Sandbox::load_metered } else { Sandbox::load };
    let module = match (load(sandbox, &case.wasm), case.outcome.as_str()) {
        (Ok(module), outcome) if outcome != "bad_module" => module,
        (Ok(_), _) => return Err("is not refused".to_owned()),
        (Err(refusal), "bad_module") => return says(case, &refusal.to_string()),
        (Err(refusal), _) => return Err(format!("refused: {refusal}")),
    };
    let call = Call {
        task: "guest".to_owned(),
        payload: case.text("payload").unwrap_or_default().into(),
        env: [("KEY", "1")].into(),
        ..Call::default()
    };
    let started = Instant::now();
    let report = sandbox.run(&module, call, &limits, &Cancel::new()).map_err(|e| format!("failed to {e}"))?;
    if started.elapsed() > limits.timeout + SOON {
        return Err(format!("took {:?}", started.elapsed()));
    }
    if report.usage.fuel.is_some() != limits.fuel.is_some() {
        return Err(format!("used fuel {:?}", report.usage.fuel));
    }
    compare(case, &report).map_err(|difference| format!("{difference}; {report:?}"))
}

fn limits(case: &Case) -> Limits {
    let usual = Limits::default();
    Limits {
        memory: case.number("memory").unwrap_or(usual.memory),
        timeout: Duration::from_millis(case.timeout_ms()),
        fuel: case.number("fuel"),
        output: OUTPUT,
        error: ERROR,
        log: LOG,
        ..usual
    }
}

fn compare(case: &Case, report: &Report) -> Result<(), String> {
    case_is(report.outcome.kind().as_str() == case.outcome, || "it ended otherwise".to_owned())?;
    let log: Vec<_> = report.log.iter().map(|line| line.text.as_str()).collect();
    let wanted = case.text("log").unwrap_or_default();
    case_is(log.join("\n").contains(wanted), || format!("its log does not say {wanted:?}"))?;
    case_is(log.concat().len() <= LOG, || format!("{} bytes of log were kept", log.concat().len()))?;
    case.same("progress", &report.progress.unwrap_or(f64::NAN))?;
    match &report.outcome {
        Outcome::Succeeded(reply) => {
            case.same("reply", &String::from_utf8_lossy(reply))?;
            case.same("reply_bytes", &reply.len())?;
        }
        Outcome::Snoozed(delay) => case.same("retry_after_ms", &delay.as_millis())?,
        Outcome::Failed { retry_after, .. } => {
            case.same("retry_after_ms", &retry_after.unwrap_or_default().as_millis())?;
        }
        _ => {}
    }
    let Some(error) = report.outcome.error() else { return Ok(()) };
    case.same("error_bytes", &error.total_bytes)?;
    case_is(error.kind == case.error_kind(), || "its error is of another kind".to_owned())?;
    case_is(error.message.len() <= ERROR + 100, || format!("its error has {} bytes", error.message.len()))?;
    says(case, &error.message)
}

fn says(case: &Case, message: &str) -> Result<(), String> {
    case_is(message.contains(case.text("says").unwrap_or_default()), || format!("it says {message:?}"))
}

fn case_is(so: bool, else_say: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(else_say()) }
}
