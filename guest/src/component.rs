//! The doors of the component: each export, as a thin layer over the rules.
//!
//! `lock` and `json` run the steps themselves over the imported store; `steps` leaves the store
//! to the host. Both are made of the same two functions.

use alloc::{string::String, vec::Vec};

use spin::{Mutex, Once};

use crate::{
    bindings::{
        AcquireCommand, Acquired, Error, Failure, ReleaseCommand, Released, Reply, StoreInfo,
        UnlockStatus,
        exports::holdfast::lock::{json, lock, steps},
        store,
    },
    json::{self as wire},
    request,
    scope::Scope,
    verdict,
};

struct Component;

#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
mod export {
    crate::bindings::export!(Component with_types_in crate::bindings);
    use super::Component;
}

/// The scopes that a host configured for `steps`, by number.
static SCOPES: Mutex<Vec<Scope>> = Mutex::new(Vec::new());

/// The scope of `lock` and `json`: what the imported store says.
static IMPORTED: Once<Result<Scope, String>> = Once::new();

/// Runs `step` in a configured scope. A number that `configure` never gave is the host's mistake,
/// and traps.
fn configured<T>(scope: u32, step: impl FnOnce(&Scope) -> T) -> T {
    let scopes = SCOPES.lock();
    match scopes.get(scope as usize) {
        Some(scope) => step(scope),
        None => panic!("scope {scope} was never configured"),
    }
}

fn imported() -> Result<&'static Scope, Error> {
    let scope = IMPORTED.call_once(|| Scope::new(&store::stores()));
    scope.as_ref().map_err(|problem| Error::Other(problem.clone()))
}

impl lock::Guest for Component {
    fn try_lock(
        store_name: String,
        resource_id: String,
        lock_owner: String,
        expiry_in_seconds: i32,
    ) -> Result<bool, Error> {
        let command = request::try_lock(
            imported()?,
            &store_name,
            &resource_id,
            &lock_owner,
            expiry_in_seconds,
        )?;
        verdict::try_lock(store::acquire(&command))
    }

    fn unlock(
        store_name: String,
        resource_id: String,
        lock_owner: String,
    ) -> Result<UnlockStatus, Error> {
        let command = request::unlock(imported()?, &store_name, &resource_id, &lock_owner)?;
        verdict::unlock(store::release(&command))
    }
}

impl json::Guest for Component {
    fn try_lock(store_name: String, body: Vec<u8>) -> Reply {
        let begun = imported()
            .map_err(|error| wire::refusal(wire::Call::TryLock, &error))
            .and_then(|scope| wire::begin_try_lock(scope, &store_name, &body));
        match begun {
            Ok(command) => wire::end_try_lock(store::acquire(&command)),
            Err(reply) => reply,
        }
    }

    fn unlock(store_name: String, body: Vec<u8>) -> Reply {
        let begun = imported()
            .map_err(|error| wire::refusal(wire::Call::Unlock, &error))
            .and_then(|scope| wire::begin_unlock(scope, &store_name, &body));
        match begun {
            Ok(command) => wire::end_unlock(store::release(&command)),
            Err(reply) => reply,
        }
    }
}

impl steps::Guest for Component {
    fn configure(stores: Vec<StoreInfo>) -> Result<u32, String> {
        let scope = Scope::new(&stores)?;
        let mut scopes = SCOPES.lock();
        scopes.push(scope);
        Ok(scopes.len() as u32 - 1)
    }

    fn begin_try_lock(
        scope: u32,
        store_name: String,
        resource_id: String,
        lock_owner: String,
        expiry_in_seconds: i32,
    ) -> Result<AcquireCommand, Error> {
        configured(scope, |scope| {
            request::try_lock(scope, &store_name, &resource_id, &lock_owner, expiry_in_seconds)
        })
    }

    fn end_try_lock(outcome: Result<Acquired, Failure>) -> Result<bool, Error> {
        verdict::try_lock(outcome)
    }

    fn begin_unlock(
        scope: u32,
        store_name: String,
        resource_id: String,
        lock_owner: String,
    ) -> Result<ReleaseCommand, Error> {
        configured(scope, |scope| request::unlock(scope, &store_name, &resource_id, &lock_owner))
    }

    fn end_unlock(outcome: Result<Released, Failure>) -> Result<UnlockStatus, Error> {
        verdict::unlock(outcome)
    }

    fn begin_json_try_lock(
        scope: u32,
        store_name: String,
        body: Vec<u8>,
    ) -> Result<AcquireCommand, Reply> {
        configured(scope, |scope| wire::begin_try_lock(scope, &store_name, &body))
    }

    fn end_json_try_lock(outcome: Result<Acquired, Failure>) -> Reply {
        wire::end_try_lock(outcome)
    }

    fn begin_json_unlock(
        scope: u32,
        store_name: String,
        body: Vec<u8>,
    ) -> Result<ReleaseCommand, Reply> {
        configured(scope, |scope| wire::begin_unlock(scope, &store_name, &body))
    }

    fn end_json_unlock(outcome: Result<Released, Failure>) -> Reply {
        wire::end_unlock(outcome)
    }
}
