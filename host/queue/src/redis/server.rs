//! What a server says of itself: whether it is one that Afresh can work with.

use super::errors::{cluster_node, is_cluster, too_old};

/// Checks the text of `INFO server`: Redis 7.0 or newer (scripts with flags), or Valkey, which began at 7.2.
///
/// # Errors
/// A sentence that says what the server is and what is needed.
pub(super) fn check_version(info: &str, place: &str) -> Result<(), String> {
    if field(info, "valkey_version").is_some() {
        return Ok(());
    }
    let Some(version) = field(info, "redis_version") else {
        return Err(format!("what answers at {place} does not say that it is Redis"));
    };
    match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= 7 => Ok(()),
        _ => Err(too_old(place, version)),
    }
}

/// Checks by the text of `INFO server` that the server is of the kind that its URL says.
///
/// # Errors
/// A sentence that says which URL to write.
pub(super) fn check_kind(info: &str, place: &str) -> Result<(), String> {
    // Valkey says it in words of its own, if it is told to.
    match field(info, "redis_mode").or_else(|| field(info, "server_mode")) {
        Some("cluster") if !is_cluster(place) => Err(cluster_node(place)),
        Some("sentinel") => Err(format!("{place} is a sentinel: write redis+sentinel://HOST:PORT/MASTER")),
        _ => Ok(()),
    }
}

/// What is to be said of a server that throws jobs away when its memory is full, from the text of `INFO memory`. The
/// `volatile` policies are harmless: no key of ours has a time to live.
pub(super) fn eviction_warning(info: &str, place: &str) -> Option<String> {
    let policy = field(info, "maxmemory_policy").filter(|policy| policy.starts_with("allkeys"))?;
    let limited = field(info, "maxmemory").is_some_and(|bytes| bytes != "0");
    limited.then(|| {
        format!("{place} throws jobs away when its memory is full: set maxmemory-policy to noeviction, not {policy}")
    })
}

/// A line of what `INFO` answers.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_7_and_valkey_are_new_enough_and_nothing_else() {
        for (info, fine) in [
            ("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n", true),
            ("# Server\r\nredis_version:8.6.1\r\n", true),
            ("# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.0\r\n", true),
            ("# Server\r\nredis_version:10.0.0\r\n", true),
            ("# Server\r\nredis_version:6.2.14\r\n", false),
            ("# Server\r\nredis_version:unstable\r\n", false),
            ("HTTP/1.1 400 Bad Request\r\n", false),
            ("", false),
        ] {
            assert_eq!(check_version(info, "redis://there").is_ok(), fine, "{info:?}");
        }
        let error = check_version("redis_version:6.2.14", "redis://there").unwrap_err();
        assert_eq!(error, "redis://there is Redis 6.2.14: Afresh needs Redis 7.0 or newer, or Valkey");
    }

    #[test]
    fn a_url_of_another_kind_is_refused_with_the_right_one() {
        for (mode, place, right) in [
            ("redis_mode:standalone", "redis://there", ""),
            ("redis_mode:cluster", "rediss+cluster://there", ""),
            ("redis_mode:cluster", "redis://there", "write redis+cluster://"),
            ("server_mode:cluster", "redis+sentinel://there/m", "write redis+cluster://"),
            ("redis_mode:sentinel", "redis://there", "write redis+sentinel://HOST:PORT/MASTER"),
        ] {
            let said = check_kind(mode, place).err().unwrap_or_default();
            assert_eq!((said.is_empty(), said.contains(right)), (right.is_empty(), true), "{mode} {place}: {said}");
        }
    }

    #[test]
    fn a_server_that_evicts_jobs_is_warned_of() {
        for (bytes, policy, warned) in [
            ("0", "noeviction", false),
            ("1000", "noeviction", false),
            ("1000", "volatile-lru", false),
            ("0", "allkeys-lru", false),
            ("1000", "allkeys-lru", true),
        ] {
            let info = format!("# Memory\r\nmaxmemory:{bytes}\r\nmaxmemory_policy:{policy}\r\n");
            let warning = eviction_warning(&info, "redis://there");
            assert_eq!(warning.is_some(), warned, "{info:?}");
            assert!(warning.is_none_or(|text| text.contains("noeviction, not allkeys-lru")));
        }
    }
}
