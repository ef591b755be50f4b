//! Holds `ABI.md` and `afresh_protocol::abi` together: what the code names, the page names, and the tables have no more.

use afresh_protocol::abi::{self, LogLevel, Verdict, env, exit};
use afresh_protocol::{TaskPolicy, policy};

const PAGE: &str = include_str!("../ABI.md");

/// The first cells of the table whose head starts with `| {first} |`, with the rest of each row.
fn table(first: &str) -> Vec<(&'static str, &'static str)> {
    let head = format!("| {first} |");
    let rows = PAGE.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    rows.map_while(|line| line.strip_prefix("| ")?.split_once(" | ")).collect()
}

#[test]
fn the_functions_are_those_of_the_page() {
    let page: Vec<_> = table("function").into_iter().map(|(name, rest)| (name, rest.trim_end_matches(" |"))).collect();
    let code: Vec<_> =
        abi::FUNCTIONS.iter().map(|(name, signature)| (format!("`{name}`"), format!("`{signature}`"))).collect();
    assert_eq!(page, code.iter().map(|(name, signature)| (name.as_str(), signature.as_str())).collect::<Vec<_>>());
}

#[test]
fn the_verdicts_are_those_of_the_page() {
    let page = table("verdict");
    for (number, rest) in &page {
        let verdict = Verdict::from_code(number.parse().unwrap()).unwrap();
        assert!(rest.starts_with(&format!("`{verdict:?}` ")), "{number} is {verdict:?}, but the page says {rest}");
    }
    let known = (0..100).filter(|&code| Verdict::from_code(code).is_some()).count();
    assert_eq!(page.len(), known);
}

#[test]
fn the_levels_are_those_of_the_page() {
    let levels = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
    let levels: Vec<_> = levels.iter().map(|&level| format!("{} {level}", level as i32)).collect();
    assert!(PAGE.contains(&format!("Levels: {};", levels.join(", "))), "{levels:?}");
}

#[test]
fn the_environment_is_that_of_the_page() {
    let page: Vec<_> = table("variable").into_iter().map(|(name, _)| name.trim_matches('`')).collect();
    assert_eq!(page, [env::TASK, env::JOB_ID, env::ATTEMPT, env::MAX_ATTEMPTS, env::QUEUE]);
}

#[test]
fn the_exit_codes_are_those_of_the_page() {
    let page: Vec<i32> =
        table("exit code").into_iter().filter_map(|(code, _)| code.split(' ').next()?.parse().ok()).collect();
    assert_eq!(page, [exit::OK, exit::REJECTED, exit::TEMPORARY]);
}

#[test]
fn the_policy_s_keys_are_those_of_the_page() {
    let whole = TaskPolicy {
        task: "a".into(),
        max_attempts: Some(1),
        timeout_ms: Some(1),
        memory: Some(1),
        fuel: Some(1),
        min_backoff_ms: Some(1),
        max_backoff_ms: Some(1),
    };
    let line = whole.to_line();
    let keys: Vec<_> =
        line.trim_matches(|c| "{}\n".contains(c)).split(',').filter_map(|f| f.split(':').next()).collect();
    let page: Vec<_> = table("key").into_iter().map(|(key, _)| key.replace('`', "\"")).collect();
    assert_eq!(page, keys);
}

#[test]
fn the_names_and_bounds_are_those_of_the_page() {
    for word in [abi::NAMESPACE, abi::WASI_NAMESPACE, abi::TASKS_SECTION] {
        assert!(PAGE.contains(&format!("`{word}`")), "{word}");
    }
    for bound in
        [format!("at most {} bytes", policy::MAX_SECTION_BYTES), format!("1 to {} letters", policy::MAX_NAME_BYTES)]
    {
        assert!(PAGE.contains(&bound), "{bound}");
    }
    assert!(PAGE.lines().count() <= 150, "the ABI is one page");
}
