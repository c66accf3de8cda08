//! The messages of the rules, word for word as Dapr 1.18 words them, and those of the verbs that Dapr
//! does not have.
//!
//! Source: Dapr 1.18, `pkg/messages/predefined.go` and `pkg/api/universal/lock.go`.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::types::{UnknownOutcome, Verb};

/// The most bytes of a caller's text that a message quotes. Dapr quotes all of it, but no proxy accepts a
/// message of megabytes.
const MAX_QUOTED_BYTES: usize = 4096;

/// The first bytes of a text, at most `most`.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// No lock store is configured.
pub fn store_not_configured() -> String {
    "lock store is not configured".to_string()
}

/// No lock store has that name.
pub fn store_not_found(store_name: &str) -> String {
    format!("lock store {} not found", cut(store_name, MAX_QUOTED_BYTES))
}

/// The resource id is empty.
pub fn resource_id_empty(store_name: &str) -> String {
    format!("ResourceId is empty in lock store {}", cut(store_name, MAX_QUOTED_BYTES))
}

/// The lock owner is empty.
pub fn lock_owner_empty(store_name: &str) -> String {
    format!("LockOwner is empty in lock store {}", cut(store_name, MAX_QUOTED_BYTES))
}

/// The expiry is zero, negative or missing.
pub fn expiry_not_positive(store_name: &str) -> String {
    format!("ExpiryInSeconds is not positive in lock store {}", cut(store_name, MAX_QUOTED_BYTES))
}

/// The expiry exceeds what a store accepts. Dapr's API cannot express such an expiry.
pub fn expiry_too_long(store_name: &str) -> String {
    let quoted = cut(store_name, MAX_QUOTED_BYTES);
    format!("ExpiryInSeconds is above {} in lock store {quoted}", i32::MAX)
}

/// The time to live of a lease is zero or missing.
pub fn ttl_not_positive(store_name: &str) -> String {
    format!("ttl is not positive in lock store {}", cut(store_name, MAX_QUOTED_BYTES))
}

/// The longest time to hold a lock is zero.
pub fn max_hold_not_positive(store_name: &str) -> String {
    format!("maxHold is not positive in lock store {}", cut(store_name, MAX_QUOTED_BYTES))
}

/// The cause for a lease that expired before its caller could learn of it.
pub const RAN_OUT: &str = "the lock ran out before the reply came";

/// The cause for a lease that a store granted without the requested fencing token.
pub const NO_FENCING_TOKEN: &str = "the store granted the lock without a fencing token";

/// Adds the owner to the cause of an acquire whose outcome is unknown: the caller may not know the owner, and needs it
/// to release the lock.
pub fn with_owner(cause: &str, owner: &str) -> String {
    format!("{cause} (the owner is {owner})")
}

/// The `Failure` of an acquire, [with the owner](with_owner) if its outcome is unknown. A macro, because each bindings
/// generator makes its own type.
#[macro_export]
macro_rules! failure_naming {
    ($failure:expr, $owner:expr) => {
        match $failure {
            Self::Unknown(mut outcome) => {
                outcome.cause = $crate::message::with_owner(&outcome.cause, $owner);
                Self::Unknown(outcome)
            }
            failure => failure,
        }
    };
}

/// The message of an `Error` of the contract. A macro, because each bindings generator makes its own type.
#[macro_export]
macro_rules! message_of {
    ($error:expr) => {
        match $error {
            Self::StoreNotConfigured(message)
            | Self::StoreNotFound(message)
            | Self::ResourceIdEmpty(message)
            | Self::LockOwnerEmpty(message)
            | Self::ExpiryNotPositive(message)
            | Self::ResourceIdReserved(message)
            | Self::StoreFailed(message)
            | Self::MalformedRequest(message)
            | Self::RequestTooLarge(message)
            | Self::Other(message) => message,
            Self::Indeterminate(outcome) => &outcome.message,
        }
    };
}

/// A time of a lease exceeds what a store accepts. `field` is its name.
pub fn time_too_long(field: &str, store_name: &str) -> String {
    format!("{field} is above {} s in lock store {}", i32::MAX, cut(store_name, MAX_QUOTED_BYTES))
}

/// The limit of a page of locks is 0 or too large.
pub fn limit_out_of_range(store_name: &str, most: u32) -> String {
    format!("limit is not from 1 to {most} in lock store {}", cut(store_name, MAX_QUOTED_BYTES))
}

/// The cause for a verb that has no JSON form.
pub(crate) const NO_JSON_FORM: &str = "it has no JSON form";

/// The text that follows the verb in the refusal of a resource id or a prefix.
pub(crate) const RESERVED: &str = "input key/keyPrefix";

/// The resource id contains `||`.
pub fn resource_id_reserved(verb: Verb, resource_id: &str) -> String {
    let quoted = cut(resource_id, MAX_QUOTED_BYTES);
    failed(verb, &format!("{RESERVED} '{quoted}' can't contain '||'"))
}

/// The call failed: in the store, which may have refused it, or in the host.
pub fn failed(verb: Verb, cause: &str) -> String {
    let failed = match verb {
        Verb::TryLock => "failed to try acquiring lock",
        Verb::Unlock => "failed to release lock",
        Verb::Acquire => "failed to acquire lease",
        Verb::Extend => "failed to extend lease",
        Verb::Inspect => "failed to inspect lock",
        Verb::ListLocks => "failed to list locks",
        Verb::ForceRelease => "failed to force-release lock",
    };
    format!("{failed}: {cause}")
}

/// The body is not valid JSON, or a field has the wrong type.
pub fn malformed_request(cause: &str) -> String {
    format!("failed deserializing HTTP body: {cause}")
}

/// The reply was lost. Dapr has no such message: it answers `false` for a lock that it took.
pub fn indeterminate(verb: Verb, outcome: &UnknownOutcome) -> String {
    let consequence = match (verb, outcome.held_until.and_then(rfc3339)) {
        (Verb::TryLock | Verb::Acquire, Some(time)) => {
            format!("the lock may be held until {time}")
        }
        (Verb::TryLock | Verb::Acquire, None) => "the lock may be held".to_string(),
        (Verb::Extend, _) => "the lease may be extended or not".to_string(),
        _ => "the lock may be free or still held".to_string(),
    };
    failed(verb, &format!("{}; the outcome is unknown: {consequence}", outcome.cause))
}

/// A time in milliseconds since 1970, as RFC 3339 writes it; `None` after the year 9999.
fn rfc3339(milliseconds: u64) -> Option<String> {
    const END_OF_YEAR_9999: u64 = 253_402_300_800;
    let seconds = i64::try_from(milliseconds / 1000)
        .ok()
        .filter(|_| milliseconds / 1000 < END_OF_YEAR_9999)?;
    let (year, month, day, hour, minute, second) = datealgo::secs_to_datetime(seconds);
    let fraction = milliseconds % 1000;
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_quotes_at_most_4_kib_of_a_name() {
        let name = "é".repeat(10_000);
        for message in [
            store_not_found(&name),
            resource_id_empty(&name),
            lock_owner_empty(&name),
            expiry_not_positive(&name),
            expiry_too_long(&name),
            ttl_not_positive(&name),
            max_hold_not_positive(&name),
            time_too_long("maxHold", &name),
            limit_out_of_range(&name, 1_000),
            resource_id_reserved(Verb::Acquire, &name),
        ] {
            assert_eq!(message.matches('é').count(), 2_048, "{message:.80}");
        }
    }
}
