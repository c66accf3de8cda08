//! The settings and fields that have a meaning, and the nearest of them to one that has none.

use strsim::normalized_damerau_levenshtein;

use super::error::Flaw;
use crate::lowercase::lowercase;

/// How similar a name must be to be suggested, from 0 to 1.
const SIMILAR: f64 = 0.6;

/// The longest name that is compared, in bytes: the time it takes grows with the length.
const LONGEST: usize = 64;

/// The settings of a type besides those of Redis.
const COMMON: &[&str] = &["fencing", "keyPrefix"];

/// Settings of Dapr's Redis components that are accepted and mean nothing for a lock.
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

/// The settings that a component of this type may have, as the documentation spells them; `None` for a type
/// whose settings are not known.
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

/// What is wrong with a name at `path` that is none of `known`. `what` is what it names: a setting, a field.
pub(super) fn unknown(path: &str, what: &str, name: &str, known: &[&str]) -> Option<Flaw> {
    let lower = lowercase(name);
    // Each of these is refused, with a reason of its own.
    if lower.starts_with("oidc") {
        return None;
    }
    if known.iter().any(|known| lowercase(known) == lower) {
        return None;
    }
    let hint = match nearest(&lower, known) {
        Some(nearest) => format!(" (did you mean {nearest}?)"),
        None => String::new(),
    };
    Some(Flaw::at(path, format!("unknown {what} {name}, so it has no effect{hint}")))
}

/// The known name that is most like `name`, if one is like it.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.len() > LONGEST {
        return None;
    }
    let name = lowercase(name);
    let similarity = |known: &str| normalized_damerau_levenshtein(&name, &lowercase(known));
    let rated = known.iter().map(|known| (similarity(known), *known));
    let (similarity, nearest) = rated.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (similarity >= SIMILAR).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(name: &str) -> Option<String> {
        let known = settings("lock.redis").unwrap();
        unknown("p", "setting", name, &known).map(|flaw| flaw.message)
    }

    #[test]
    fn a_misspelt_setting_is_told_with_the_nearest() {
        for (name, nearest) in [
            ("keyPrefx", "keyPrefix"),
            ("enableSSL", "enableTLS"),
            ("redisPasword", "redisPassword"),
            ("redis_host", "redisHost"),
            ("dialTimout", "dialTimeout"),
        ] {
            let expected =
                format!("unknown setting {name}, so it has no effect (did you mean {nearest}?)");
            assert_eq!(hint(name), Some(expected));
        }
        let nothing_like_it = "unknown setting colour, so it has no effect";
        assert_eq!(hint("colour"), Some(nothing_like_it.to_owned()));
    }

    #[test]
    fn known_settings_match_without_case() {
        for name in ["KEYPREFIX", "redisHost", "maxRetries", "redeliverInterval", "oidcClientID"] {
            assert_eq!(hint(name), None, "{name}");
        }
    }
}
