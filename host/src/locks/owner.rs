//! Owners for those who bring none.

use uuid::Uuid;

/// An owner that nobody had before and nobody can guess.
pub(super) fn fresh_owner() -> String {
    Uuid::new_v4().to_string()
}
