//! Finds the field of a call that a [`message`](mod@crate::message) is about, for code that has only the message.

use alloc::{format, string::String};

use crate::{
    message::{self, RESERVED},
    types::Verb,
};

/// A field of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The name of the store.
    Store,
    /// The resource id.
    ResourceId,
    /// The prefix of the resource ids to list.
    Prefix,
    /// The owner.
    LockOwner,
    /// The expiry of a try-lock.
    Expiry,
    /// The time to live of a lease.
    Ttl,
    /// How long to wait for a lease.
    Wait,
}

/// The field that a message refuses; `None` if the message refuses no field. Reads the text, because the error codes of
/// Dapr's API name no field.
pub fn refused(message: &str) -> Option<Field> {
    // If no store is configured, the call's store name is not at fault.
    if message == message::store_not_configured() {
        return None;
    }
    let starts = [
        ("lock store ", Field::Store),
        ("ResourceId ", Field::ResourceId),
        ("LockOwner ", Field::LockOwner),
        ("ExpiryInSeconds ", Field::Expiry),
        ("ttl ", Field::Ttl),
        ("wait ", Field::Wait),
    ];
    if let Some((_, field)) = starts.iter().find(|(start, _)| message.starts_with(start)) {
        return Some(*field);
    }
    let reserved = |verb| -> String { message::failed(verb, &format!("{RESERVED} '")) };
    let verbs = [
        Verb::TryLock,
        Verb::Unlock,
        Verb::Acquire,
        Verb::Extend,
        Verb::Inspect,
        Verb::ForceRelease,
    ];
    if message.starts_with(&reserved(Verb::ListLocks)) {
        return Some(Field::Prefix);
    }
    let of_resource = verbs.into_iter().any(|verb| message.starts_with(&reserved(verb)));
    of_resource.then_some(Field::ResourceId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_about_its_field() {
        for (message, field) in [
            (message::store_not_configured(), None),
            (message::store_not_found("s"), Some(Field::Store)),
            (message::resource_id_empty("s"), Some(Field::ResourceId)),
            (message::lock_owner_empty("s"), Some(Field::LockOwner)),
            (message::expiry_not_positive("s"), Some(Field::Expiry)),
            (message::expiry_too_long("s"), Some(Field::Expiry)),
            (message::ttl_not_positive("s"), Some(Field::Ttl)),
            (message::time_too_long("ttl", "s"), Some(Field::Ttl)),
            (message::time_too_long("wait", "s"), Some(Field::Wait)),
            (message::limit_out_of_range("s", 1), None),
            (message::resource_id_reserved(Verb::TryLock, "a||b"), Some(Field::ResourceId)),
            (message::resource_id_reserved(Verb::Unlock, "a||b"), Some(Field::ResourceId)),
            (message::resource_id_reserved(Verb::Acquire, "a||b"), Some(Field::ResourceId)),
            (message::resource_id_reserved(Verb::Extend, "a||b"), Some(Field::ResourceId)),
            (message::resource_id_reserved(Verb::Inspect, "a||b"), Some(Field::ResourceId)),
            (message::resource_id_reserved(Verb::ForceRelease, "a||b"), Some(Field::ResourceId)),
            (message::resource_id_reserved(Verb::ListLocks, "a||b"), Some(Field::Prefix)),
            (message::failed(Verb::TryLock, "redis: no lock store"), None),
            (message::malformed_request("x"), None),
        ] {
            assert_eq!(refused(&message), field, "{message}");
        }
    }
}
