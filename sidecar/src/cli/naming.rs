//! What is wrong, in words of the command line: the rules name the fields of the API.

use anyhow::anyhow;
use holdfast::Error;
use holdfast_rules::field::{self, Field};

/// The problem, after the argument that it is about, if it is about one.
pub fn naming(problem: &str) -> String {
    let argument = match field::refused(problem) {
        None => return problem.to_owned(),
        Some(Field::Store) => "STORE",
        Some(Field::ResourceId) => "RESOURCE",
        Some(Field::Prefix) => "--prefix",
        Some(Field::LockOwner) => "--owner",
        Some(Field::Expiry) => "--expiry",
        Some(Field::Ttl) => "--ttl",
        Some(Field::Wait) => "--wait",
    };
    format!("{argument}: {problem}")
}

/// The error of a call, after the argument that it is about.
pub fn named(error: Error) -> anyhow::Error {
    let problem = error.to_string();
    let named = naming(&problem);
    if named == problem { error.into() } else { anyhow!(named) }
}
