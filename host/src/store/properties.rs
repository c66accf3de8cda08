//! Settings by name: the `metadata` of a resource file.
//!
//! Each store says which settings it has and what they mean.

use std::{collections::BTreeMap, fmt};

use holdfast_redis_rules::settings::{self, Found, Source, names::Setting};

use crate::lowercase::lowercase;

/// Settings by name. Names match without case. Values may be secrets, so [`Debug`] shows only names.
#[derive(Clone, Default)]
pub struct Properties(BTreeMap<String, String>);

/// A setting that cannot be used. Never contains the value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata property {setting} {problem}")]
pub struct SettingError {
    /// The setting's name, as the documentation spells it.
    pub setting: String,
    /// What is wrong with it: "is empty", "is not a whole number".
    pub problem: String,
}

impl SettingError {
    /// An error that reads "metadata property `setting` `problem`".
    pub fn new(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into() }
    }
}

impl Properties {
    /// The value of a setting as written; `None` if it is missing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&lowercase(name)).map(String::as_str)
    }

    /// Sets a value, replacing an earlier one of the same name.
    pub fn insert(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(lowercase(name), value.into());
    }

    /// Refuses two names of one setting with different values.
    pub(crate) fn check_aliases(&self, settings: &[&Setting]) -> Result<(), SettingError> {
        for setting in settings {
            let mut given = setting.dapr.iter().filter_map(|name| Some((*name, self.get(name)?)));
            let Some((first, value)) = given.next() else { continue };
            if let Some((other, _)) = given.find(|(_, other)| other.trim() != value.trim()) {
                let problem = format!("differs from {first}, which is another name of it");
                return Err(SettingError::new(other, problem));
            }
        }
        Ok(())
    }

    /// The names that are set, in lower case and in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Source for Properties {
    const MISSING: &'static str = "is empty";

    fn find(&self, setting: &Setting) -> Option<Found<'_>> {
        let found = |name: &&'static str| {
            let value = self.get(name)?.trim();
            (!value.is_empty()).then_some(Found { name, value })
        };
        setting.dapr.iter().find_map(found)
    }

    fn find_by_start(&self, start: &Setting) -> Option<Found<'_>> {
        let starts = |name: &str| start.dapr.iter().any(|start| name.starts_with(start));
        self.0
            .iter()
            .map(|(name, value)| Found { name, value: value.trim() })
            .find(|found| starts(found.name) && !found.value.is_empty())
    }

    fn name(&self, setting: &Setting) -> String {
        setting.dapr.first().copied().unwrap_or_default().to_owned()
    }
}

impl From<settings::SettingError> for SettingError {
    fn from(error: settings::SettingError) -> Self {
        Self { setting: error.setting, problem: error.problem }
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(settings: I) -> Self {
        let mut properties = Self::default();
        for (name, value) in settings {
            properties.insert(name.as_ref(), value);
        }
        properties
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
