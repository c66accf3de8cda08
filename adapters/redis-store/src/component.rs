//! The export: finds the store of a call and runs the command there.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use holdfast_redis_rules::{acquire::Wanted, extend::Extend, fence::token_key};
use spin::{Mutex, Once};
use wasip2::cli::environment::get_environment;

use crate::{
    bindings::{
        AcquireCommand, Acquired, ExtendCommand, Extended, Failure, Guest, Holding, InspectCommand,
        ReleaseCommand, Released, StoreInfo,
    },
    redis::Redis,
    stores,
    time::fresh_owner,
};

struct Component;

#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
mod export {
    crate::bindings::export!(Component with_types_in crate::bindings);
    use super::Component;
}

struct Store {
    info: StoreInfo,
    /// The server, or why the store cannot be used. A component cannot fail at its start, so every call reports the
    /// reason.
    redis: Result<Mutex<Redis>, String>,
}

static STORES: Once<Vec<Store>> = Once::new();

fn all() -> &'static [Store] {
    STORES.call_once(|| {
        let described = stores::described(&get_environment());
        let store = |described: stores::Described| Store {
            info: described.info,
            redis: described
                .settings
                .map(|(address, settings)| Mutex::new(Redis::new(address, settings))),
        };
        described.into_iter().map(store).collect()
    })
}

fn with<T>(
    name: &str,
    operation: impl FnOnce(&mut Redis) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let Some(store) = all().iter().find(|store| store.info.name == name) else {
        return Err(Failure::NotDone(format!("store {name} not found")));
    };
    match &store.redis {
        Ok(redis) => operation(&mut redis.lock()),
        Err(problem) => Err(Failure::NotDone(problem.clone())),
    }
}

impl Guest for Component {
    fn stores() -> Vec<StoreInfo> {
        all().iter().map(|store| store.info.clone()).collect()
    }

    fn acquire(command: AcquireCommand) -> Result<Acquired, Failure> {
        let AcquireCommand { store, key, owner, ttl, wait, fenced } = command;
        let token_key = fenced.then(|| token_key(&key));
        let ttl = Duration::from_millis(ttl);
        let lock = Wanted { key: &key, owner: &owner, ttl, token_key: token_key.as_deref() };
        with(&store, |redis| redis.acquire(lock, Duration::from_millis(wait)))
    }

    fn fresh_owner() -> String {
        fresh_owner()
    }

    fn extend(command: ExtendCommand) -> Result<Extended, Failure> {
        let ExtendCommand { store, key, owner, ttl, may_shorten } = command;
        let extend = Extend { key: &key, owner: &owner, ttl, may_shorten };
        with(&store, |redis| redis.extend(extend))
    }

    fn inspect(command: InspectCommand) -> Result<Option<Holding>, Failure> {
        with(&command.store, |redis| redis.inspect(&command.key))
    }

    fn release(command: ReleaseCommand) -> Result<Released, Failure> {
        with(&command.store, |redis| redis.release(&command.key, &command.owner))
    }
}
