//! A problem with a field.

use alloc::string::String;
use core::fmt;

/// A problem with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The path of the field, as in `refused.status`; empty for the whole value.
    pub field: String,
    /// A readable description of the problem.
    pub message: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl core::error::Error for Flaw {}
