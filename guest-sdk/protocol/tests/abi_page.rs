//! Holds `ABI.md` and `afresh_protocol::abi` together: what the code names, the page names, and the tables have no more.

use afresh_protocol::abi::{self, LogLevel, Refusal, TAKEN, Verdict, env, exit};
use afresh_protocol::enqueue::{self, Request};
use afresh_protocol::{TaskPolicy, grants, policy};

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
        env: vec!["A".into()],
        secrets: vec!["B".into()],
        folders: vec!["/a".into()],
        scratch: Some(1),
        enqueue: vec!["a".into()],
    };
    assert_eq!(policy_keys(), keys(&whole.to_line()));
}

#[test]
fn the_request_s_keys_are_those_of_the_page() {
    let whole = Request {
        task: "a".into(),
        queue: Some("a".into()),
        id: Some("a".into()),
        delay_ms: Some(1),
        priority: Some(1),
        max_attempts: Some(1),
        min_backoff_ms: Some(1),
        max_backoff_ms: Some(1),
        timeout_ms: Some(1),
        memory: Some(1),
        key: Some("a".into()),
        expires_in_ms: Some(1),
    };
    let policy = policy_keys();
    // The page leaves out what a task asks for in the same words; fuel is no job's.
    let (shared, own): (Vec<_>, Vec<_>) = keys(&String::from_utf8(whole.to_spec()).unwrap())
        .into_iter()
        .partition(|key| policy.iter().filter(|other| !["task", "fuel"].contains(other)).any(|other| other == key));
    assert_eq!(shared, ["max_attempts", "min_backoff_ms", "max_backoff_ms", "timeout_ms", "memory"]);
    let page: Vec<_> = table("spec").into_iter().map(|(key, _)| key.trim_matches('`').to_owned()).collect();
    assert_eq!(page, own);
}

/// The keys of the tasks section, some of which share a row of the page.
fn policy_keys() -> Vec<&'static str> {
    table("key").into_iter().flat_map(|(keys, _)| keys.split(", ")).map(|key| key.trim_matches('`')).collect()
}

/// The keys of a flat JSON object, in their order.
fn keys(object: &str) -> Vec<String> {
    let fields = object.trim_matches(|c| "{}\n".contains(c)).split(',');
    fields.filter_map(|field| Some(field.split(':').next()?.replace('"', ""))).collect()
}

#[test]
fn the_answers_of_enqueue_are_those_of_the_page() {
    let words = ["taken", "not allowed", "over a limit", "not a job"];
    for (code, word) in (0..).zip(words) {
        assert_eq!(Refusal::code_of(Refusal::answer_of(code)), code);
        assert!(PAGE.contains(&format!(" {code} {word}")), "{code} {word}");
    }
    assert_eq!((Refusal::answer_of(TAKEN), Refusal::answer_of(4)), (Ok(()), Err(Refusal::NotAllowed)));
}

#[test]
fn the_names_and_bounds_are_those_of_the_page() {
    for word in [abi::NAMESPACE, abi::WASI_NAMESPACE, abi::TASKS_SECTION] {
        assert!(PAGE.contains(&format!("`{word}`")), "{word}");
    }
    // Line ends of the page stand where they fit, not where they mean something.
    let page = PAGE.replace('\n', " ");
    for bound in [
        format!("UTF-8, at most {} bytes, one JSON object per line", policy::MAX_SECTION_BYTES),
        format!("UTF-8, at most {} bytes, one JSON object;", enqueue::MAX_SPEC_BYTES),
        format!("A name has 1 to {} letters", policy::MAX_NAME_BYTES),
        format!("at most {} of each kind", grants::MAX_OF_A_KIND),
        format!("a folder `{}`", grants::SCRATCH),
        format!("its id, 1 to {} letters", enqueue::MAX_ID_BYTES),
        format!("from {} to {},", enqueue::PRIORITIES.start(), enqueue::PRIORITIES.end()),
    ] {
        assert!(page.contains(&bound), "{bound}");
    }
    assert!(PAGE.lines().count() <= 150, "the ABI is one page");
}
