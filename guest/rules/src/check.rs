//! The checks that all verbs share.

use alloc::string::String;

use crate::{
    MAX_TIME, message,
    scope::{Choice, Store},
    types::{Error, Verb},
};

/// Checks that the time to live is positive.
pub(crate) fn ttl_is_positive(choice: Choice<'_>, ttl: u64) -> Result<(), Error> {
    match ttl {
        0 => Err(Error::ExpiryNotPositive(message::ttl_not_positive(choice.name()))),
        _ => Ok(()),
    }
}

/// Checks that a time is at most [`MAX_TIME`]. `field` is its name in the error.
pub(crate) fn is_in_range(choice: Choice<'_>, field: &str, time: u64) -> Result<(), Error> {
    if time > MAX_TIME {
        return Err(Error::MalformedRequest(message::time_too_long(field, choice.name())));
    }
    Ok(())
}

/// The key of a resource, after the checks that all verbs share: a store is configured, the
/// resource id and the owner are not empty, the store exists, the resource id does not contain `||`. The
/// owner may contain it.
pub(crate) fn key(
    verb: Verb,
    choice: Choice<'_>,
    resource_id: &str,
    has_owner: bool,
) -> Result<String, Error> {
    let name = choice.name();
    is_configured(choice)?;
    if resource_id.is_empty() {
        return Err(Error::ResourceIdEmpty(message::resource_id_empty(name)));
    }
    if !has_owner {
        return Err(Error::LockOwnerEmpty(message::lock_owner_empty(name)));
    }
    store(choice)?
        .key(resource_id)
        .ok_or_else(|| Error::ResourceIdReserved(message::resource_id_reserved(verb, resource_id)))
}

/// The store, if one is configured and has the name that the call gives.
pub(crate) fn store(choice: Choice<'_>) -> Result<&Store, Error> {
    is_configured(choice)?;
    choice.store().ok_or_else(|| Error::StoreNotFound(message::store_not_found(choice.name())))
}

fn is_configured(choice: Choice<'_>) -> Result<(), Error> {
    match choice.scope().is_empty() {
        true => Err(Error::StoreNotConfigured(message::store_not_configured())),
        false => Ok(()),
    }
}
