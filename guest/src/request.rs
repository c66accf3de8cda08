//! The first step of a call: the checks, in Dapr's order, and the store operation that follows.
//!
//! Source of the order: Dapr 1.18, `pkg/api/universal/lock.go`.

use alloc::string::ToString;

use crate::{
    bindings::{AcquireCommand, Error, ReleaseCommand},
    message::{self, Call},
    scope::{Scope, Store},
};

/// Checks a try-lock.
///
/// # Errors
///
/// The first check that fails, in this order: the expiry is positive, there is a store at all,
/// the resource id is not empty, the owner is not empty, the store exists, the resource id does
/// not contain `||`.
pub fn try_lock(
    scope: &Scope,
    store_name: &str,
    resource_id: &str,
    lock_owner: &str,
    expiry_in_seconds: i32,
) -> Result<AcquireCommand, Error> {
    let Some(seconds) = u64::try_from(expiry_in_seconds).ok().filter(|seconds| *seconds > 0) else {
        return Err(Error::ExpiryNotPositive(message::expiry_not_positive(store_name)));
    };
    let store = named_store(scope, store_name, resource_id, lock_owner)?;
    Ok(AcquireCommand {
        store: store_name.to_string(),
        key: key(store, Call::TryLock, resource_id)?,
        owner: lock_owner.to_string(),
        ttl: seconds * 1000,
    })
}

/// Checks an unlock.
///
/// # Errors
///
/// As [`try_lock`], without the expiry.
pub fn unlock(
    scope: &Scope,
    store_name: &str,
    resource_id: &str,
    lock_owner: &str,
) -> Result<ReleaseCommand, Error> {
    let store = named_store(scope, store_name, resource_id, lock_owner)?;
    Ok(ReleaseCommand {
        store: store_name.to_string(),
        key: key(store, Call::Unlock, resource_id)?,
        owner: lock_owner.to_string(),
    })
}

/// The checks that both calls share, up to the store.
fn named_store<'s>(
    scope: &'s Scope,
    store_name: &str,
    resource_id: &str,
    lock_owner: &str,
) -> Result<&'s Store, Error> {
    if scope.is_empty() {
        return Err(Error::StoreNotConfigured(message::store_not_configured()));
    }
    if resource_id.is_empty() {
        return Err(Error::ResourceIdEmpty(message::resource_id_empty(store_name)));
    }
    if lock_owner.is_empty() {
        return Err(Error::LockOwnerEmpty(message::lock_owner_empty(store_name)));
    }
    scope
        .store(store_name)
        .ok_or_else(|| Error::StoreNotFound(message::store_not_found(store_name)))
}

/// The key of a resource, which must not contain the separator. The owner may.
fn key(store: &Store, call: Call, resource_id: &str) -> Result<alloc::string::String, Error> {
    store
        .key(resource_id)
        .ok_or_else(|| Error::ResourceIdReserved(message::resource_id_reserved(call, resource_id)))
}
