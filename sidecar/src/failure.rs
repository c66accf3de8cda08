//! Calls that fail in the host: the rules word their messages, as for every other call.

use holdfast::Verb;
use holdfast_rules::types;

/// The verb as the rules have it. The library's is the same type of the contract, generated for a host.
pub(crate) fn rules_verb(verb: Verb) -> types::Verb {
    match verb {
        Verb::TryLock => types::Verb::TryLock,
        Verb::Unlock => types::Verb::Unlock,
    }
}
