//! The checker: finds violations of a lock's promises in a history. It is pure: the same history has the same
//! violations.
//!
//! | module | what must hold |
//! |---|---|
//! | [`exclusion`] | no two holders at once; a holder keeps its lock |
//! | [`answers`] | `held` and the answers of a release are true |
//! | [`bounds`] | a lock ends when its acquire said it would, at the latest |
//! | [`tokens`] | fencing tokens grow |
//! | [`progress`] | calls end, locks become free, and the store works again after a fault, and not while it cannot |
//! | [`holds`] | owners that surely hold a key, and owners that may hold it |
//! | [`clock`] | the effect on a lock when the server's clock is set |
//! | [`losses`] | which locks a failover may lose, and how many it lost |
//! | [`pace`] | how exactly a client knows the server's clock |
//! | [`violation`] | the findings |
//! | `sample` | histories for the tests of the checker |

mod answers;
mod bounds;
mod clock;
mod exclusion;
mod holds;
pub mod losses;
mod pace;
mod progress;
#[cfg(test)]
mod sample;
mod tokens;
pub mod violation;

use crate::history::History;
use holds::Key;
use violation::{Rules, Violation};

/// All violations in the history, by time.
pub fn check(history: &History, rules: &Rules) -> Vec<Violation> {
    let mut found = progress::check(history, rules);
    for key in Key::all(history, rules) {
        found.extend(exclusion::check(&key, history, rules));
        found.extend(answers::check(&key, history, rules));
        found.extend(bounds::check(&key, rules));
        found.extend(tokens::check(&key));
    }
    found.sort_by_key(|violation| violation.at);
    found
}
