//! The verbs in the wire form of Dapr's HTTP API, and leases in a form like it: bodies in, replies out.
//!
//! | module | what lives there |
//! |---|---|
//! | `request` | bodies of calls |
//! | `reply` | replies |
//! | `expiry`, `duration` | the values in them: expiries as Dapr reads them, times |
//! | `reader` | JSON of any kind |

mod duration;
mod expiry;
mod reader;
mod reply;
mod request;

use crate::{
    acquire::{self, AcquireTerms},
    extend, inspect, message,
    scope::Choice,
    try_lock,
    types::{AcquireStep, Answer, Begun, Error, ExtendStep, JsonAnswer, ReleaseStep, Verb},
    unlock,
};

pub use duration::{milliseconds, write as duration};
pub use reply::{failure, refusal};
pub use request::Body;

/// Checks a call. Returns the store operation to carry out, or the answer. The step names the owner.
pub fn begin(store: Choice<'_>, verb: Verb, body: &[u8]) -> Begun {
    checked(store, verb, body).unwrap_or_else(|error| Begun::Answered(refused(verb, error)))
}

fn checked(store: Choice<'_>, verb: Verb, body: &[u8]) -> Result<Begun, Error> {
    let Body { resource_id, lock_owner, expiry_in_seconds, ttl, wait, fenced, may_shorten, .. } =
        Body::read(verb, body)?;
    let has_owner = !lock_owner.is_empty();
    let owner = || Some(lock_owner.into_owned());
    Ok(match verb {
        Verb::TryLock => {
            let ttl = try_lock::ttl(expiry_in_seconds);
            let step = try_lock::begin(store, &resource_id, has_owner, ttl)?;
            Begun::Acquire(AcquireStep { owner: owner(), ..step })
        }
        Verb::Unlock => {
            let step = unlock::begin(store, &resource_id, has_owner)?;
            Begun::Release(ReleaseStep { owner: owner(), ..step })
        }
        Verb::Acquire => {
            let terms = AcquireTerms { ttl, wait, fenced };
            let step = acquire::begin(store, &resource_id, false, terms)?;
            // The JSON form cannot tell an empty string from a missing field.
            Begun::Acquire(AcquireStep { owner: owner().filter(|_| has_owner), ..step })
        }
        Verb::Extend => {
            let step = extend::begin(store, &resource_id, has_owner, ttl, may_shorten)?;
            Begun::Extend(ExtendStep { owner: owner(), ..step })
        }
        Verb::Inspect => Begun::Inspect(inspect::begin(store, &resource_id)?),
        Verb::ListLocks | Verb::ForceRelease => {
            return Err(Error::Other(message::failed(verb, message::NO_JSON_FORM)));
        }
    })
}

/// Puts an answer in typed form into JSON form.
pub fn answer(verb: Verb, answer: Answer) -> JsonAnswer {
    let (reply, error) = match answer {
        Answer::TryLock(held) => (reply::held(held), None),
        Answer::Unlock(status) => (reply::status(status), None),
        Answer::Acquire(lease) => (reply::lease(lease), None),
        Answer::Extend(extended) => (reply::extended(extended), None),
        Answer::Inspect(holding) => (reply::holding(holding), None),
        Answer::Failed(error) => (reply::refusal(verb, &error), Some(error)),
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
