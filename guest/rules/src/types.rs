//! The values of the contract, generated from `wit/types.wit`.

pub use crate::bindings::holdfast::lock::types::*;
use crate::message;

impl Error {
    /// The message, for a person.
    pub fn message(&self) -> &str {
        crate::message_of!(self)
    }

    /// The error for a failure of the store.
    pub fn of_failure(verb: Verb, failure: Failure) -> Self {
        match failure {
            // Reading changes nothing, so its outcome is never indeterminate.
            Failure::Unknown(outcome) if matches!(verb, Verb::Inspect | Verb::ListLocks) => {
                Self::StoreFailed(message::failed(verb, &outcome.cause))
            }
            Failure::NotDone(cause) => Self::StoreFailed(message::failed(verb, &cause)),
            Failure::Unknown(outcome) => Self::Indeterminate(IndeterminateOutcome {
                message: message::indeterminate(verb, &outcome),
                held_until: outcome.held_until,
            }),
        }
    }
}

impl Failure {
    /// The failure of an acquire by this owner. Its cause names the owner if the outcome is unknown.
    #[must_use]
    pub fn naming(self, owner: &str) -> Self {
        crate::failure_naming!(self, owner)
    }
}
