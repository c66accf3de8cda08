//! Every verb in every form behind two functions, as `wit/steps.wit` describes them.

use crate::{
    json,
    scope::Scope,
    try_lock,
    types::{
        Answer, Begun, Form, JsonRequest, Outcome, Request, StoreChoice, TryLockRequest,
        UnlockRequest, Verb,
    },
    unlock,
};

/// Checks a call: the store operation to carry out, or the answer.
///
/// # Panics
///
/// On a store that is not in the scope: its position is the host's own.
pub fn begin(scope: &Scope, store: &StoreChoice, request: Request) -> Begun {
    let store = match store {
        StoreChoice::Configured(position) => scope.at(*position),
        StoreChoice::Unknown(name) => scope.unknown(name),
    };
    match request {
        Request::TryLock(TryLockRequest { resource_id, has_owner, ttl }) => {
            match try_lock::begin(store, &resource_id, has_owner, ttl) {
                Ok(step) => Begun::Acquire(step),
                Err(error) => Begun::Answered(Answer::TryLock(Err(error))),
            }
        }
        Request::Unlock(UnlockRequest { resource_id, has_owner }) => {
            match unlock::begin(store, &resource_id, has_owner) {
                Ok(step) => Begun::Release(step),
                Err(error) => Begun::Answered(Answer::Unlock(Err(error))),
            }
        }
        Request::Json(JsonRequest { verb, body }) => json::begin(store, verb, &body),
    }
}

/// The answer to a call, by what the store answered.
///
/// # Panics
///
/// On an outcome that the verb cannot have.
pub fn end(verb: Verb, form: Form, outcome: Outcome) -> Answer {
    let answer = match (verb, outcome) {
        (Verb::TryLock, Outcome::Acquire(outcome)) => Answer::TryLock(try_lock::end(outcome)),
        (Verb::Unlock, Outcome::Release(outcome)) => Answer::Unlock(unlock::end(outcome)),
        (Verb::TryLock, Outcome::Release(_)) | (Verb::Unlock, Outcome::Acquire(_)) => {
            panic!("{verb:?} cannot have the outcome of the other verb")
        }
    };
    match form {
        Form::Typed => answer,
        Form::Json => Answer::Json(json::answer(verb, answer)),
    }
}
