//! Hints for a lock that cannot be taken.

use holdfast_rules::message::RAN_OUT;

use super::super::arguments::RunLocked;

/// The problem of an acquire, with the option that may help, such as `--no-fencing` if the fencing token may be the
/// cause.
pub fn with_hint(problem: String, args: &RunLocked) -> String {
    let number = ["NOPERM", "did not number", "unknown command"];
    if !args.no_fencing && number.iter().any(|sign| problem.contains(sign)) {
        return problem + "; --no-fencing takes the lock without a fencing token";
    }
    if problem.contains(RAN_OUT) {
        return format!("{problem}: --ttl {:?} is too short", args.ttl);
    }
    problem
}
