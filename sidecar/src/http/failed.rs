//! The reply to a call that has no verdict.

use holdfast::{Error, Verb};
use holdfast_dapr_api::{Reply, reply};
use holdfast_rules::{json, message};

use crate::{
    failure, rules_types,
    sidecar::{Ending, Sidecar},
};

/// The reply to a call that failed, which is logged if the caller is not at fault.
pub(crate) fn failed(
    sidecar: &Sidecar,
    verb: Verb,
    error: Error,
    trace_id: Option<String>,
) -> Reply {
    let verb = rules_types::verb(verb);
    let refusal = match error {
        Error::Lock(error) => {
            if failure::is_of_store(&error) {
                sidecar.failures().log(error.message(), trace_id);
            }
            json::refusal(verb, &rules_types::error(error))
        }
        Error::Overloaded { .. } | Error::TooManyWaits { .. } => {
            return reply::overloaded(&error.to_string());
        }
        Error::WaitsEnded => return reply::shutting_down(&Ending.to_string()),
        error => {
            let cause = error.to_string();
            sidecar.failures().log(&message::failed(verb, &cause), trace_id);
            json::failure(verb, &cause)
        }
    };
    reply::json(refusal.status, refusal.body)
}
