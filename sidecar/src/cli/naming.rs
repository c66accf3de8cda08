//! What is wrong, in words of the command line: the rules name the fields of the API.

use anyhow::anyhow;
use holdfast::Error;

/// The problem, after the argument that it is about, if it is about one.
pub fn naming(problem: &str) -> String {
    const ABOUT: [(&str, &str); 6] = [
        ("lock store ", "STORE"),
        ("ResourceId ", "RESOURCE"),
        ("LockOwner ", "--owner"),
        ("ExpiryInSeconds ", "--expiry"),
        ("ttl ", "--ttl"),
        ("wait ", "--wait"),
    ];
    let about = ABOUT.iter().find(|(start, _)| problem.starts_with(start));
    match about {
        // There is none at all.
        Some(_) if problem.ends_with("is not configured") => problem.to_owned(),
        Some((_, argument)) => format!("{argument}: {problem}"),
        None if !problem.contains("input key/keyPrefix") => problem.to_owned(),
        None if problem.contains("list locks") => format!("--prefix: {problem}"),
        None => format!("RESOURCE: {problem}"),
    }
}

/// The error of a call, after the argument that it is about.
pub fn named(error: Error) -> anyhow::Error {
    let problem = error.to_string();
    let named = naming(&problem);
    if named == problem { error.into() } else { anyhow!(named) }
}
