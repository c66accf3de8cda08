//! The error that names a setting.

use alloc::string::String;
use core::{error::Error, fmt};

/// A setting that cannot be used. Never contains the value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The name of the setting in its source.
    pub setting: String,
    /// The problem: "is empty", "is not a whole number".
    pub problem: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.problem)
    }
}

impl Error for SettingError {}
