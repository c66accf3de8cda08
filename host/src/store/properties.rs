//! Settings by name: the `metadata` of a resource file.
//!
//! Each store decides which settings it has and what they mean.

use std::{collections::BTreeMap, fmt};

use holdfast_redis_rules::settings::{self, Found, Source, names::Setting};

use crate::lowercase::lowercase;

/// Settings by name. Names match without case. Values may be secrets, so [`Debug`] shows only names.
#[derive(Clone, Default)]
pub struct Properties(BTreeMap<String, Property>);

#[derive(Clone)]
struct Property {
    /// The name of the setting, as written.
    name: String,
    value: String,
    is_secret: bool,
}

/// A setting that cannot be used. Contains no value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata property {setting} {problem}")]
pub struct SettingError {
    /// The setting's name, in the spelling of the documentation.
    pub setting: String,
    /// The problem: "is empty", "is not a whole number".
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
        self.0.get(&lowercase(name)).map(|property| property.value.as_str())
    }

    /// Sets a value, replacing an earlier one of the same name.
    pub fn insert(&mut self, name: &str, value: impl Into<String>) {
        self.set(name, value.into(), false);
    }

    /// The same as [`insert`](Self::insert), but no error shows the value.
    pub fn insert_secret(&mut self, name: &str, value: impl Into<String>) {
        self.set(name, value.into(), true);
    }

    fn set(&mut self, name: &str, value: String, is_secret: bool) {
        self.0.insert(lowercase(name), Property { name: name.to_owned(), value, is_secret });
    }

    /// An error about a setting. It shows the start of the value, unless the value may be a secret.
    pub(crate) fn wrong(&self, name: &str, problem: &str) -> SettingError {
        /// The longest part of a value to show, in characters.
        const MAX_SHOWN_CHARS: usize = 60;
        let value = self.get(name).unwrap_or_default().trim();
        // A password may stand before an @.
        if value.is_empty() || value.contains('@') || self.is_secret(name) {
            return SettingError::new(name, problem);
        }
        let mut rest = value.chars();
        let start: String = rest.by_ref().take(MAX_SHOWN_CHARS).collect();
        let more = if rest.next().is_some() { "…" } else { "" };
        SettingError::new(name, format!("{problem}: {start:?}{more}"))
    }

    /// The error, with the value as written.
    pub(crate) fn with_value(&self, error: &settings::SettingError) -> SettingError {
        self.wrong(&error.setting, &error.problem)
    }

    /// Whether no error may show the value of a setting, because of its source or its meaning.
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        let name = lowercase(name);
        let is_named =
            ["redispassword", "sentinelpassword", "clientcert", "clientkey"].contains(&&*name);
        is_named
            || name.starts_with("oidc")
            || self.0.get(&name).is_some_and(|property| property.is_secret)
    }

    /// Refuses two names of one setting with different values.
    pub(crate) fn check_aliases(&self, settings: &[&Setting]) -> Result<(), SettingError> {
        for setting in settings {
            let mut given = setting.dapr.iter().filter_map(|name| Some((*name, self.get(name)?)));
            let Some((first, value)) = given.next() else { continue };
            if let Some((other, _)) = given.find(|(_, other)| other.trim() != value.trim()) {
                let problem =
                    format!("differs from {first}, which is another name of the same setting");
                return Err(SettingError::new(other, problem));
            }
        }
        Ok(())
    }

    /// The names of the settings, in lower case and in order.
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
        let mut found = self
            .0
            .iter()
            .filter(|(name, _)| starts(name))
            .map(|(_, property)| Found { name: &property.name, value: property.value.trim() });
        found.find(|found| !found.value.is_empty())
    }

    fn name(&self, setting: &Setting) -> String {
        setting.dapr.first().copied().unwrap_or_default().to_owned()
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
