//! Every verb in every form behind two functions, as `wit/steps.wit` describes them.

use crate::{
    acquire::{self, AcquireTerms},
    extend, force_release, inspect, json, list_locks,
    scope::Scope,
    try_lock,
    types::{
        AcquireRequest, Answer, Begun, Error, ExtendRequest, ForceReleaseRequest, Form,
        InspectRequest, JsonRequest, ListRequest, Outcome, Request, StoreChoice, TryLockRequest,
        UnlockRequest, Verb,
    },
    unlock,
};

/// Checks a call. Returns the store operation to carry out, or the answer.
///
/// # Panics
///
/// If the scope does not have the store at the given position. The host chose that position.
pub fn begin(scope: &Scope, store: &StoreChoice, request: Request) -> Begun {
    let store = match store {
        StoreChoice::Configured(position) => scope.at(*position),
        StoreChoice::Unknown(name) => scope.unknown(name),
    };
    let begun = match request {
        Request::TryLock(TryLockRequest { resource_id, has_owner, ttl }) => {
            try_lock::begin(store, &resource_id, has_owner, ttl).map(Begun::Acquire)
        }
        Request::Unlock(UnlockRequest { resource_id, has_owner }) => {
            unlock::begin(store, &resource_id, has_owner).map(Begun::Release)
        }
        Request::Acquire(AcquireRequest { resource_id, owner_is_empty, ttl, wait, fenced }) => {
            let terms = AcquireTerms { ttl, wait, fenced };
            acquire::begin(store, &resource_id, owner_is_empty, terms).map(Begun::Acquire)
        }
        Request::Extend(ExtendRequest { resource_id, has_owner, ttl, may_shorten }) => {
            extend::begin(store, &resource_id, has_owner, ttl, may_shorten).map(Begun::Extend)
        }
        Request::Inspect(InspectRequest { resource_id }) => {
            inspect::begin(store, &resource_id).map(Begun::Inspect)
        }
        Request::ListLocks(ListRequest { prefix, limit }) => {
            list_locks::begin(store, &prefix, limit).map(Begun::ListLocks)
        }
        Request::ForceRelease(ForceReleaseRequest { resource_id }) => {
            force_release::begin(store, &resource_id).map(Begun::ForceRelease)
        }
        Request::Json(JsonRequest { verb, body }) => return json::begin(store, verb, &body),
    };
    begun.unwrap_or_else(|error| Begun::Answered(Answer::Failed(error)))
}

/// The answer to a call, from the outcome of its store operation.
///
/// # Panics
///
/// If the verb cannot have this outcome.
pub fn end(verb: Verb, form: Form, outcome: Outcome) -> Answer {
    let answer = match (verb, outcome) {
        (_, Outcome::Failed(failure)) => Answer::Failed(Error::of_failure(verb, failure)),
        (Verb::TryLock, Outcome::Acquired(acquired)) => Answer::TryLock(try_lock::end(acquired)),
        (Verb::Unlock, Outcome::Released(released)) => Answer::Unlock(unlock::end(released)),
        (Verb::Acquire, Outcome::Leased(lease)) => Answer::Acquire(lease),
        (Verb::Extend, Outcome::Extended(extended)) => Answer::Extend(extended),
        (Verb::Inspect, Outcome::Inspected(holding)) => Answer::Inspect(holding),
        _ => panic!("an outcome of another verb"),
    };
    match form {
        Form::Typed => answer,
        Form::Json => Answer::Json(json::answer(verb, answer)),
    }
}
