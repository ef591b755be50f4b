//! Sums up a web server's access log: raw bytes in, JSON out. Lines are in the combined log format, with the time taken
//! in seconds at the end where the server writes it (nginx: `$request_time`).

use std::collections::{BTreeMap, HashMap};

use afresh::{Context, task};
use serde::Serialize;

/// How many of the most requested paths are named.
const TOP: usize = 5;

#[derive(Debug, Default, PartialEq, Serialize)]
struct Report {
    requests: u64,
    bytes: u64,
    malformed_lines: u64,
    by_status: BTreeMap<u16, u64>,
    top_paths: Vec<(String, u64)>,
    /// Half of the requests took at most so many milliseconds; absent where the log has no times.
    p50_ms: Option<u64>,
    /// 95 of 100 requests took at most so many milliseconds.
    p95_ms: Option<u64>,
}

#[task(name = "log-report", max_attempts = 3, timeout = "10s", memory = "64MiB")]
fn log_report(log: Vec<u8>, ctx: &Context) -> Report {
    let log = String::from_utf8_lossy(&log);
    let mut report = Report::default();
    let mut paths: HashMap<&str, u64> = HashMap::new();
    let mut times = Vec::new();
    for line in log.lines().filter(|line| !line.trim().is_empty()) {
        let Some(request) = Request::parse(line) else {
            report.malformed_lines += 1;
            continue;
        };
        report.requests += 1;
        // A log may say anything; in release mode a sum would start again at zero.
        report.bytes = report.bytes.saturating_add(request.bytes);
        *report.by_status.entry(request.status).or_default() += 1;
        *paths.entry(request.path).or_default() += 1;
        times.extend(request.millis);
    }
    if report.malformed_lines > 0 {
        ctx.warn(format_args!("{} lines are not in the combined log format", report.malformed_lines));
    }
    times.sort_unstable();
    report.top_paths = top(paths);
    report.p50_ms = percentile(&times, 50);
    report.p95_ms = percentile(&times, 95);
    report
}

struct Request<'a> {
    path: &'a str,
    status: u16,
    bytes: u64,
    millis: Option<u64>,
}

impl<'a> Request<'a> {
    /// Reads `host - user [time] "GET /path?query HTTP/1.1" 200 5120 "referrer" "agent" 0.042`.
    fn parse(line: &'a str) -> Option<Self> {
        let (_, line) = line.split_once("] \"")?;
        let (request, line) = line.split_once("\" ")?;
        let target = request.split(' ').nth(1)?;
        let mut numbers = line.split(' ');
        let status = numbers.next()?.parse().ok()?;
        let bytes = match numbers.next()? {
            "-" => 0,
            bytes => bytes.parse().ok()?,
        };
        let seconds: Option<f64> = line.rsplit_once("\" ").and_then(|(_, seconds)| seconds.parse().ok());
        let millis = seconds.map(|seconds| (seconds * 1000.0).round() as u64);
        Some(Self { path: target.split('?').next()?, status, bytes, millis })
    }
}

/// The most requested paths, those of equal number by their names.
fn top(paths: HashMap<&str, u64>) -> Vec<(String, u64)> {
    let mut paths: Vec<_> = paths.into_iter().collect();
    paths.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
    paths.into_iter().take(TOP).map(|(path, requests)| (path.to_owned(), requests)).collect()
}

/// The smallest value that is at least as large as `percent` of `sorted`.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn main() {
    afresh::run!(log_report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_gives_the_expected_report() {
        let ctx = Context::test();
        let report = log_report(include_bytes!("../input.log").to_vec(), &ctx);
        let expected = include_str!("../expected.json");
        assert_eq!(serde_json::to_string(&report).unwrap(), expected);
        assert_eq!(ctx.logs(), ["warn: 7 lines are not in the combined log format"]);
    }

    #[test]
    fn a_line_without_a_time_and_without_bytes_counts() {
        let line = "::1 - - [23/Nov/2026:06:25:01 +0000] \"HEAD /a?b=c HTTP/1.1\" 304 - \"-\" \"curl/8\"\n\nnonsense\n";
        let report = log_report(line.into(), &Context::test());
        assert_eq!((report.requests, report.bytes, report.malformed_lines), (1, 0, 1));
        assert_eq!((report.top_paths, report.p50_ms), (vec![("/a".to_owned(), 1)], None));
    }

    #[test]
    fn sizes_that_nobody_can_send_do_not_wrap() {
        let line = format!("- - - [-] \"GET / HTTP/1.1\" 200 {} \"-\" \"-\"\n", u64::MAX);
        assert_eq!(log_report(line.repeat(2).into(), &Context::test()).bytes, u64::MAX);
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let sorted: Vec<u64> = (1..=10).collect();
        assert_eq!((percentile(&sorted, 50), percentile(&sorted, 95)), (Some(5), Some(10)));
        assert_eq!(percentile(&[], 50), None);
    }
}
