//! The settings, fields and kinds that have a meaning, and the most similar one for a name without a meaning.

use std::fmt;

use strsim::normalized_damerau_levenshtein;

use super::error::Flaw;
use crate::lowercase::lowercase;

/// How similar a name must be to be suggested, from 0 to 1.
const MIN_SIMILARITY: f64 = 0.6;

/// The longest name that is compared, in bytes: the time for a comparison grows with the length.
const MAX_COMPARED_BYTES: usize = 64;

/// The shortest part of a name to look for, in bytes.
const MIN_PART_BYTES: usize = 2;

/// The settings of a type besides those of Redis.
const COMMON: &[&str] = &["fencing", "keyPrefix"];

/// Settings of Dapr's Redis components that Holdfast accepts, and that mean nothing for a lock.
const MEANINGLESS: &[&str] = &[
    "actorStateStore",
    "concurrency",
    "consumerID",
    "entraIDClientID",
    "maxLenApprox",
    "outboxPublishPubsub",
    "outboxPublishTopic",
    "processingTimeout",
    "queryIndexes",
    "queueDepth",
    "redeliverInterval",
    "streamTTL",
    "ttlInSeconds",
];

/// The settings that a component of this type may have, in the spelling of the documentation; `None` for a type whose
/// settings are unknown.
pub(super) fn settings(component_type: &str) -> Option<Vec<&'static str>> {
    match lowercase(component_type).as_str() {
        "lock.redis" => {
            let redis = holdfast_redis_rules::settings::names::ALL;
            let redis = redis.iter().flat_map(|setting| setting.dapr).copied();
            Some(COMMON.iter().chain(MEANINGLESS).copied().chain(redis).collect())
        }
        "lock.in-memory" => Some(COMMON.to_vec()),
        "secretstores.local.env" => Some(vec!["prefix"]),
        "secretstores.local.file" => Some(vec!["secretsFile", "nestedSeparator", "multiValued"]),
        _ => None,
    }
}

/// Fields of `spec` that are often written among its settings.
const FIELDS_OF_SPEC: [&str; 3] = ["ignoreErrors", "initTimeout", "version"];

/// The problem with a setting at `path` that is not in `known`.
pub(super) fn unknown_setting(path: &str, name: &str, known: &[&str]) -> Option<Flaw> {
    // Another check refuses each of the `oidc` settings, with its own reason.
    if lowercase(name).starts_with("oidc") || is_one(name, known) {
        return None;
    }
    let misplaced = FIELDS_OF_SPEC.iter().find(|field| field.eq_ignore_ascii_case(name));
    if misplaced.is_some() {
        return Some(Flaw::at(path, format!("{name} is not a setting: move it to spec")));
    }
    let hint = hint(nearest_setting(name, known));
    Some(Flaw::at(path, format!("unknown setting {name}, so it has no effect{hint}")))
}

/// Fields that are often written in a wrong place: the path of that place, the field, and where it belongs.
const MISPLACED: [(&str, &str, &str); 10] = [
    ("spec", "scopes", TOP),
    ("spec", "auth", TOP),
    ("metadata", "scopes", TOP),
    ("metadata", "auth", TOP),
    ("spec", "secretStore", "auth"),
    ("", "secretStore", "auth"),
    ("", "type", "spec"),
    ("", "version", "spec"),
    ("", "ignoreErrors", "spec"),
    ("", "initTimeout", "spec"),
];

const TOP: &str = "the top level";

/// The problem with a field at `path`, in the mapping at `parent`, that is not in `known`.
pub(super) fn unknown_field(path: &str, parent: &str, name: &str, known: &[&str]) -> Option<Flaw> {
    if is_one(name, known) {
        return None;
    }
    let misplaced = || MISPLACED.iter().filter(|(place, ..)| *place == parent);
    let home = |field: &str| {
        let found = misplaced().find(|(_, misplaced, _)| lowercase(misplaced) == lowercase(field));
        found.map(|(.., home)| home)
    };
    if let Some(home) = home(name) {
        return Some(Flaw::at(path, format!("has no effect here: it belongs to {home}")));
    }
    let elsewhere = misplaced().map(|(_, field, _)| *field);
    let all: Vec<&str> = known.iter().copied().chain(elsewhere).collect();
    let nearest = most_similar(name, &all).map(|nearest| match home(nearest) {
        Some(home) => format!("{nearest}, which belongs to {home}"),
        None => nearest.to_owned(),
    });
    let hint = hint(nearest);
    Some(Flaw::at(path, format!("unknown field {name}, so it has no effect{hint}")))
}

/// The kinds that Holdfast reads.
const KINDS: [&str; 4] = ["Component", "EdgeLock", LIST, "Resiliency"];

/// The kind of a list of documents of any kind.
pub(super) const LIST: &str = "List";

/// Dapr's kinds that have nothing to do with locks.
const OTHER_KINDS: [&str; 5] =
    ["Configuration", "HTTPEndpoint", "MCPServer", "Subscription", "WorkflowAccessPolicy"];

/// The problem with a kind that is not read, but was probably meant to be one that is read or another one of Dapr's.
pub(super) fn misspelt_kind(kind: &str, api_version: &str) -> Option<Flaw> {
    if OTHER_KINDS.contains(&kind) {
        return None;
    }
    let is_ours = |version: &str| {
        let group = version.split('/').next().unwrap_or_default();
        group.is_empty() || most_similar(group, &["dapr.io", "holdfast.lock"]).is_some()
    };
    let same = KINDS.iter().find(|known| known.eq_ignore_ascii_case(kind)).copied();
    let similar = || is_ours(api_version).then(|| similar_kind(kind)).flatten();
    let meant = same.or_else(similar)?;
    Some(Flaw::at("kind", format!("unknown kind {kind}, so it is not read{}", hint(Some(meant)))))
}

fn similar_kind(kind: &str) -> Option<&'static str> {
    // Kubernetes gives such a name to a list of documents of one kind.
    let of_list = kind.strip_suffix(LIST).filter(|of_list| is_one(of_list, &KINDS));
    of_list.map(|_| LIST).or_else(|| most_similar(kind, &[&KINDS[..], &OTHER_KINDS[..]].concat()))
}

fn is_one(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| lowercase(known) == lowercase(name))
}

/// The suggestion of a name that was perhaps meant; empty if there is none.
pub(super) fn hint(meant: Option<impl fmt::Display>) -> String {
    meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default()
}

/// The known setting that is most similar to `name`, or that contains it: `redisHost` for `host`, `enableTLS` for
/// `tls`.
fn nearest_setting<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    most_similar(name, known).or_else(|| {
        let name = lowercase(name);
        let with_redis = format!("redis{name}");
        let has_it = |known: &&str| {
            let known = lowercase(known);
            known.ends_with(&name) || known.starts_with(&with_redis)
        };
        known.iter().copied().find(|known| name.len() >= MIN_PART_BYTES && has_it(known))
    })
}

/// The known name that is most similar to `name`; `None` if none is similar enough.
pub(super) fn most_similar<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.len() > MAX_COMPARED_BYTES {
        return None;
    }
    let name = lowercase(name);
    let similarity = |known: &str| normalized_damerau_levenshtein(&name, &lowercase(known));
    let rated = known.iter().map(|known| (similarity(known), *known));
    let (similarity, nearest) = rated.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (similarity >= MIN_SIMILARITY).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(name: &str) -> Option<String> {
        let known = settings("lock.redis").unwrap();
        unknown_setting("p", name, &known).map(|flaw| flaw.message)
    }

    #[test]
    fn the_nearest_setting_is_suggested_for_a_misspelt_one() {
        for (name, nearest) in [
            ("keyPrefx", "keyPrefix"),
            ("enableSSL", "enableTLS"),
            ("redisPasword", "redisPassword"),
            ("redis_host", "redisHost"),
            ("dialTimout", "dialTimeout"),
            ("host", "redisHost"),
            ("user", "redisUsername"),
            ("password", "redisPassword"),
            ("db", "redisDB"),
            ("tls", "enableTLS"),
        ] {
            let expected =
                format!("unknown setting {name}, so it has no effect (did you mean {nearest}?)");
            assert_eq!(hint(name), Some(expected));
        }
        for name in ["colour", "x", "s"] {
            let nothing_like_it = format!("unknown setting {name}, so it has no effect");
            assert_eq!(hint(name), Some(nothing_like_it));
        }
    }

    #[test]
    fn known_settings_match_without_case() {
        for name in ["KEYPREFIX", "redisHost", "maxRetries", "redeliverInterval", "oidcClientID"] {
            assert_eq!(hint(name), None, "{name}");
        }
    }
}
