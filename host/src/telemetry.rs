//! Logs on stderr: lines for a person at a terminal, or one JSON object a line.

use std::io::IsTerminal as _;

use afresh_queue::CHATTY;
use tracing_subscriber::EnvFilter;

use crate::cli::{Common, LogFormat};

/// Starts logging as the common flags ask, by default as `usual` says; `AFRESH_LOG` (a filter such as `afresh_host=debug`) wins over `-v` and `-q`.
pub fn start(common: &Common, usual: &str) {
    // Its WASI makes a span of every call of a guest, which costs each attempt microseconds and tells an operator nothing.
    let quiet = |level: &str| format!("{level},{CHATTY}=off,wasmtime_wasi=warn");
    let level = match (common.quiet, common.verbose) {
        (true, _) => quiet("error"),
        (false, 0) => quiet(usual),
        (false, 1) => quiet("info,afresh_host=debug,afresh_queue=debug,afresh_sandbox=debug"),
        (false, _) => "trace".to_owned(),
    };
    let filter = EnvFilter::try_from_env("AFRESH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match common.log_format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
}
