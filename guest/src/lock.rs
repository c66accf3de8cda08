//! The export `lock`: the verbs in typed form, over the imported store.

use alloc::string::String;

use holdfast_rules::{
    try_lock,
    types::{AcquireCommand, Error, ReleaseCommand, UnlockStatus, Verb},
    unlock,
};

use crate::{
    Component,
    bindings::{lock::Guest, store},
    imported,
};

impl Guest for Component {
    fn try_lock(
        store: String,
        resource_id: String,
        owner: String,
        expiry_in_seconds: i32,
    ) -> Result<bool, Error> {
        let choice = imported::scope()?.named(&store);
        let ttl = try_lock::ttl(expiry_in_seconds);
        let step = try_lock::begin(choice, &resource_id, !owner.is_empty(), ttl)?;
        let command =
            AcquireCommand { store, key: step.key, owner, ttl: step.ttl, wait: 0, fenced: false };
        let acquired = store::acquire(&command);
        acquired.map(try_lock::end).map_err(|failure| Error::of_failure(Verb::TryLock, failure))
    }

    fn unlock(store: String, resource_id: String, owner: String) -> Result<UnlockStatus, Error> {
        let choice = imported::scope()?.named(&store);
        let step = unlock::begin(choice, &resource_id, !owner.is_empty())?;
        let released = store::release(&ReleaseCommand { store, key: step.key, owner });
        released.map(unlock::end).map_err(|failure| Error::of_failure(Verb::Unlock, failure))
    }
}
