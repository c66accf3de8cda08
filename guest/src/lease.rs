//! The export `lease`: the verbs of leases in typed form, over the imported store.

use alloc::string::{String, ToString};

use holdfast_rules::{
    acquire::{self, AcquireTerms},
    extend, inspect, message,
    types::{
        AcquireCommand, Acquired, Error, ExtendCommand, Extended, Failure, Grant, Holding,
        InspectCommand, Lease, LeaseOptions, ReleaseCommand, Verb,
    },
};

use crate::{
    Component,
    bindings::{lease::Guest, store},
    imported,
};

impl Guest for Component {
    fn acquire(
        store: String,
        resource_id: String,
        options: LeaseOptions,
    ) -> Result<Option<Lease>, Error> {
        let LeaseOptions { owner, ttl, wait, fenced } = options;
        let choice = imported::scope()?.named(&store);
        let owner_is_empty = owner.as_deref().is_some_and(str::is_empty);
        let terms = AcquireTerms { ttl, wait, fenced };
        let step = acquire::begin(choice, &resource_id, owner_is_empty, terms)?;
        let owner = owner.unwrap_or_else(store::fresh_owner);
        let command = AcquireCommand { store, key: step.key, owner, ttl, wait, fenced };
        match store::acquire(&command) {
            Ok(Acquired::Held) => Ok(None),
            Ok(Acquired::Granted(grant)) => lease(command, grant).map(Some),
            Err(failure) => Err(failed(Verb::Acquire, failure.naming(&command.owner))),
        }
    }

    fn extend(
        store: String,
        resource_id: String,
        owner: String,
        ttl: u64,
        may_shorten: bool,
    ) -> Result<Extended, Error> {
        let choice = imported::scope()?.named(&store);
        let step = extend::begin(choice, &resource_id, !owner.is_empty(), ttl, may_shorten)?;
        let command = ExtendCommand { store, key: step.key, owner, ttl, may_shorten };
        store::extend(&command).map_err(|failure| failed(Verb::Extend, failure))
    }

    fn inspect(store: String, resource_id: String) -> Result<Option<Holding>, Error> {
        let choice = imported::scope()?.named(&store);
        let key = inspect::begin(choice, &resource_id)?.key;
        let command = InspectCommand { store, key };
        store::inspect(&command).map_err(|failure| failed(Verb::Inspect, failure))
    }
}

/// Turns a grant into the caller's lease. A grant without the requested fencing token is released.
fn lease(command: AcquireCommand, grant: Grant) -> Result<Lease, Error> {
    let AcquireCommand { store, key, owner, ttl, fenced, .. } = command;
    let Grant { fencing_token, valid_for } = grant;
    if fenced && fencing_token.is_none() {
        // The outcome of the release changes nothing for the caller.
        let _ = store::release(&ReleaseCommand { store, key, owner });
        return Err(failed(Verb::Acquire, Failure::NotDone(message::NO_FENCING_TOKEN.to_string())));
    }
    match valid_for.unwrap_or(ttl) {
        0 => Err(failed(Verb::Acquire, Failure::NotDone(message::RAN_OUT.to_string()))),
        valid_for => {
            Ok(Lease { owner, fencing_token: fencing_token.filter(|_| fenced), valid_for })
        }
    }
}

fn failed(verb: Verb, failure: Failure) -> Error {
    Error::of_failure(verb, failure)
}
