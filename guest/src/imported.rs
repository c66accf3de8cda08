//! The scope of `lock`, `lease` and `json`: the stores of the imported `store`.

use alloc::string::String;

use holdfast_rules::{scope::Scope, types::Error};
use spin::Once;

use crate::bindings::store;

static SCOPE: Once<Result<Scope, String>> = Once::new();

/// The scope. An instance asks the imported store for it once.
pub fn scope() -> Result<&'static Scope, Error> {
    let scope = SCOPE.call_once(|| Scope::new(&store::stores()));
    scope.as_ref().map_err(|problem| Error::Other(problem.clone()))
}
