//! Calls that fail in the host. The rules make their messages, as they do for all other calls.

use holdfast::Verb;
use holdfast_rules::types;

/// The verb as the type of the rules. The contract generates one for the host and one for the rules.
pub(crate) fn rules_verb(verb: Verb) -> types::Verb {
    match verb {
        Verb::TryLock => types::Verb::TryLock,
        Verb::Unlock => types::Verb::Unlock,
    }
}
