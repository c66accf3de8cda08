//! What is wrong, in words of the command line.

use super::super::arguments::RunLocked;

/// The problem, after the argument that it is about, if it is about one.
pub fn naming(problem: &str) -> String {
    const ABOUT: [(&str, &str); 5] = [
        ("lock store ", "STORE"),
        ("ResourceId ", "RESOURCE"),
        ("LockOwner ", "--owner"),
        ("ttl ", "--ttl"),
        ("wait ", "--wait"),
    ];
    let about = ABOUT.iter().find(|(start, _)| problem.starts_with(start));
    match about {
        Some((_, argument)) => format!("{argument}: {problem}"),
        None if problem.contains("input key/keyPrefix") => format!("RESOURCE: {problem}"),
        None => problem.to_owned(),
    }
}

/// The problem of an acquire: where it may be the number of the grant, with the way to do without.
pub fn with_hint(problem: String, args: &RunLocked) -> String {
    let number = ["NOPERM", "did not number", "unknown command"];
    if !args.no_fencing && number.iter().any(|sign| problem.contains(sign)) {
        return problem + "; --no-fencing does without a number of the grant";
    }
    problem
}
