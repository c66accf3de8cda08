//! Fresh owners, for callers that name no owner.

use uuid::Uuid;

/// A fresh owner: unique, and impossible to guess.
pub(super) fn fresh_owner() -> String {
    Uuid::new_v4().to_string()
}
