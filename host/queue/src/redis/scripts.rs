//! The scripts, one a verb: each is one atomic step. Their headers say what they are given and what they answer.

use std::sync::LazyLock;

use redis::Script;

macro_rules! scripts {
    ($($name:ident: $file:literal),* $(,)?) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file))));)*
    };
}

scripts! {
    ENQUEUE: "enqueue.lua",
    LEASE: "lease.lua",
    EXTEND: "extend.lua",
    SETTLE: "settle.lua",
    PROMOTE: "promote.lua",
    REAP: "reap.lua",
    CANCEL: "cancel.lua",
    RETRY: "retry.lua",
    REMOVE: "remove.lua",
    PURGE: "purge.lua",
    ANNOUNCE: "announce.lua",
}
