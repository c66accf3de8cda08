//! The wire form of Dapr's HTTP API: bodies in, replies out, over the same rules.

mod expiry;
mod reply;
mod request;
mod strictness;
mod text;

pub use reply::refusal;

pub use crate::message::Call;
use crate::{
    bindings::{AcquireCommand, Acquired, Failure, ReleaseCommand, Released, Reply},
    request as rules,
    scope::Scope,
    verdict,
};
use request::Body;

/// The first step of a try-lock: the operation to be done, or the reply that says why none is.
pub fn begin_try_lock(
    scope: &Scope,
    store_name: &str,
    body: &[u8],
) -> Result<AcquireCommand, Reply> {
    Body::read(Call::TryLock, body)
        .and_then(|body| {
            rules::try_lock(
                scope,
                store_name,
                &body.resource_id,
                &body.lock_owner,
                body.expiry_in_seconds,
            )
        })
        .map_err(|error| refusal(Call::TryLock, &error))
}

/// The second step of a try-lock.
pub fn end_try_lock(outcome: Result<Acquired, Failure>) -> Reply {
    match verdict::try_lock(outcome) {
        Ok(success) => reply::success(success),
        Err(error) => refusal(Call::TryLock, &error),
    }
}

/// The first step of an unlock: the operation to be done, or the reply that says why none is.
pub fn begin_unlock(scope: &Scope, store_name: &str, body: &[u8]) -> Result<ReleaseCommand, Reply> {
    Body::read(Call::Unlock, body)
        .and_then(|body| rules::unlock(scope, store_name, &body.resource_id, &body.lock_owner))
        .map_err(|error| refusal(Call::Unlock, &error))
}

/// The second step of an unlock.
pub fn end_unlock(outcome: Result<Released, Failure>) -> Reply {
    match verdict::unlock(outcome) {
        Ok(status) => reply::status(status),
        Err(error) => refusal(Call::Unlock, &error),
    }
}

#[cfg(test)]
mod tests;
