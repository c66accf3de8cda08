//! The verbs in the wire form of Dapr's HTTP API: bodies in, replies out.

mod expiry;
mod reply;
mod request;
mod text;

use crate::{
    scope::Choice,
    try_lock,
    types::{AcquireStep, Answer, Begun, Error, JsonAnswer, ReleaseStep, Verb},
    unlock,
};
use request::Body;

pub use reply::{failure, refusal};

/// Checks a call: the store operation to carry out, or the answer. The step names the owner.
pub fn begin(store: Choice<'_>, verb: Verb, body: &[u8]) -> Begun {
    checked(store, verb, body).unwrap_or_else(|error| Begun::Answered(refused(verb, error)))
}

fn checked(store: Choice<'_>, verb: Verb, body: &[u8]) -> Result<Begun, Error> {
    let Body { resource_id, lock_owner, expiry_in_seconds } = Body::read(verb, body)?;
    Ok(match verb {
        Verb::TryLock => {
            let ttl = try_lock::ttl(expiry_in_seconds);
            let step = try_lock::begin(store, &resource_id, !lock_owner.is_empty(), ttl)?;
            Begun::Acquire(AcquireStep { owner: Some(lock_owner), ..step })
        }
        Verb::Unlock => {
            let step = unlock::begin(store, &resource_id, !lock_owner.is_empty())?;
            Begun::Release(ReleaseStep { owner: Some(lock_owner), ..step })
        }
    })
}

/// An answer in typed form, put into JSON form.
pub fn answer(verb: Verb, answer: Answer) -> JsonAnswer {
    let (reply, error) = match answer {
        Answer::TryLock(Ok(held)) => (reply::held(held), None),
        Answer::Unlock(Ok(status)) => (reply::status(status), None),
        Answer::TryLock(Err(error)) | Answer::Unlock(Err(error)) => {
            (reply::refusal(verb, &error), Some(error))
        }
        Answer::Json(answer) => return answer,
    };
    JsonAnswer { reply, error }
}

/// The answer to a call that a rule refuses.
fn refused(verb: Verb, error: Error) -> Answer {
    Answer::Json(JsonAnswer { reply: reply::refusal(verb, &error), error: Some(error) })
}

#[cfg(test)]
mod tests;
