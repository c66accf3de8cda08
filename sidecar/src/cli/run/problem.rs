//! Hints for a lock that cannot be taken.

use holdfast_rules::message::{NO_FENCING_TOKEN, RAN_OUT};

use super::super::arguments::RunLocked;

/// The problem of an acquire that failed in the store, with the option that may help. The store's own words tell the
/// causes apart: its error has no code for them.
pub fn with_hint(problem: String, args: &RunLocked) -> String {
    let signs = ["NOPERM", NO_FENCING_TOKEN, "unknown command"];
    if !args.no_fencing && signs.iter().any(|sign| problem.contains(sign)) {
        return problem
            + "; if the fencing token is the cause, --no-fencing takes the lock without one";
    }
    if problem.contains(RAN_OUT) {
        return format!("{problem}: --ttl {:?} is too short", args.ttl);
    }
    problem
}
