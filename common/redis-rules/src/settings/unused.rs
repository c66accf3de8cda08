//! Settings that have no effect beside the others.

use alloc::vec::Vec;

use super::{
    names,
    pool::Pool,
    read,
    servers::Servers,
    source::{Found, Source},
};

/// A setting that has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused<'a> {
    /// The name under which the source has it.
    pub name: &'a str,
    /// The reason, worded to follow "has no effect".
    pub why: &'static str,
}

/// The settings that have no effect. The pool has `default_pool_size` if no other size is set.
pub fn unused<'a>(source: &'a impl Source, default_pool_size: usize) -> Vec<Unused<'a>> {
    let mut unused = Vec::new();
    let mut note = |found: Option<Found<'a>>, why| {
        unused.extend(found.map(|Found { name, .. }| Unused { name, why }));
    };
    if Servers::is_one(source) {
        note(
            source.find(names::SENTINEL_MASTER_NAME),
            "without failover, as for daprd: the locks are in the server that redisHost names",
        );
    }
    if !Servers::may_have_sentinels(source) {
        for setting in [names::SENTINEL_USERNAME, names::SENTINEL_PASSWORD] {
            note(source.find(setting), "without failover");
        }
    } else if source.find(names::SENTINEL_PASSWORD).is_none() {
        note(source.find(names::SENTINEL_USERNAME), "without sentinelPassword");
    }
    if source.find(names::REDIS_PASSWORD).is_none() {
        note(source.find(names::REDIS_USERNAME), "without redisPassword");
    }
    // Another reader refuses a flag that cannot be read.
    if let Ok(None) = read::flag(source, names::ENABLE_TLS) {
        let skip = read::flag(source, names::INSECURE_SKIP_TLS_VERIFY);
        note(skip.ok().flatten(), "without enableTLS");
    }
    if Pool::is_exceeded(source, default_pool_size) {
        note(source.find(names::MIN_IDLE_CONNS), "above poolSize");
    }
    unused
}
