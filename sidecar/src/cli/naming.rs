//! Errors in words of the command line: the rules name the fields of the API.

use anyhow::anyhow;
use holdfast::{Error, LockError, Locks};
use holdfast_rules::field::{self, Field};

use super::{arguments::nearest_name, printable::printable};

/// What is wrong with an empty name of a store, for example a variable that is not set.
pub const EMPTY_STORE: &str = "STORE is empty: it is the name of the lock store";

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

/// The error of a call in a store, after the argument that it is about. If there is no such store, the error lists the
/// known stores.
pub fn named(error: Error, locks: &Locks, store: &str) -> anyhow::Error {
    let problem = error.to_string();
    let named = naming(&problem);
    match error {
        Error::Lock(LockError::StoreNotFound(_)) if store.is_empty() => anyhow!(EMPTY_STORE),
        Error::Lock(LockError::StoreNotFound(_)) => anyhow!("{named}; {}", known(locks, store)),
        _ if named == problem => error.into(),
        _ => anyhow!(named),
    }
}

/// The store that was perhaps meant, or else all stores.
fn known(locks: &Locks, store: &str) -> String {
    match nearest_name(store, locks.store_names()) {
        Some(meant) => format!("did you mean {}?", printable(meant)),
        None => {
            let names: Vec<_> = locks.store_names().map(printable).collect();
            format!("the resource files define {}", names.join(", "))
        }
    }
}
