//! Where a client looks up settings.

use alloc::{borrow::ToOwned, string::String};

use super::{error::SettingError, names::Setting};

/// A place that holds settings: a resource file, the environment.
pub trait Source {
    /// The problem with a required setting that is missing, worded to follow its name.
    const MISSING: &'static str;

    /// The setting, unless it is missing, empty or white space.
    fn find(&self, setting: &Setting) -> Option<Found<'_>>;

    /// Any setting whose name starts with that of `start`.
    fn find_by_start(&self, start: &Setting) -> Option<Found<'_>>;

    /// The name of the setting in this source.
    fn name(&self, setting: &Setting) -> String;
}

/// A setting that a source has. The value may be a secret.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The name under which the source has it.
    pub name: &'a str,
    /// The value, without white space around it.
    pub value: &'a str,
}

impl Found<'_> {
    /// An error about this setting. `problem` follows the name.
    pub fn error(&self, problem: impl Into<String>) -> SettingError {
        SettingError { setting: self.name.to_owned(), problem: problem.into() }
    }
}
