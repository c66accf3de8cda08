//! What neither client supports. A setting that the safety of locks or the user's intent depends on must
//! not be ignored in silence.

use alloc::format;

use super::{
    names, read,
    source::{SettingError, Source},
};

pub(super) const SENTINEL_LIST: &str =
    "is a list, which is for Redis Sentinel: this version does not support that";

const SENTINEL: &str = "asks for Redis Sentinel, which this version does not support";
const CLOUD: &str = "asks for a cloud identity provider, which this version does not support";

/// Refuses Cluster, Sentinel and cloud identity providers.
pub(super) fn refuse(source: &impl Source) -> Result<(), SettingError> {
    if let Some(found) = source.find(names::REDIS_TYPE) {
        let is = |kind: &&str| found.value.eq_ignore_ascii_case(kind);
        if let Some(kind) = ["cluster", "sentinel"].iter().find(|kind| is(kind)) {
            let problem = format!("is {kind}, which this version does not support");
            return Err(found.error(problem));
        }
        if !is(&"node") {
            return Err(found.error("is not node, cluster or sentinel"));
        }
    }
    if let Some(found) = read::flag(source, names::FAILOVER)? {
        return Err(found.error(SENTINEL));
    }
    if let Some(found) = source.find(names::SENTINEL_MASTER_NAME) {
        return Err(found.error(SENTINEL));
    }
    for setting in [names::USE_ENTRA_ID, names::USE_OIDC] {
        if let Some(found) = read::flag(source, setting)? {
            return Err(found.error(CLOUD));
        }
    }
    match source.find_by_start(names::OIDC_) {
        Some(found) => Err(found.error(CLOUD)),
        None => Ok(()),
    }
}
