//! The environment variables of a setting.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use holdfast_redis_rules::settings::{Found, Source, names::Setting};

/// The variables of one store.
#[derive(Clone)]
pub(crate) struct Variables<'a> {
    all: &'a [(String, String)],
    /// The prefix of the names of this store's own variables; empty if there is one store.
    prefix: String,
}

impl<'a> Variables<'a> {
    pub(crate) fn new(all: &'a [(String, String)], prefix: &str) -> Self {
        Self { all, prefix: prefix.to_owned() }
    }

    /// The first of the setting's variables that is set. Variables with the store's prefix come before those without,
    /// and among these, variables with `REDIS_` before those without. An empty variable is not set. White space around
    /// a value is removed.
    pub(crate) fn get(&self, setting: &str) -> Option<Found<'a>> {
        self.spellings(setting).iter().find_map(|spelling| self.exact(spelling))
    }

    fn exact(&self, name: &str) -> Option<Found<'a>> {
        self.set().find(|variable| variable.name == name)
    }

    fn set(&self) -> impl Iterator<Item = Found<'a>> {
        self.all
            .iter()
            .map(|(name, value)| Found { name, value: value.trim() })
            .filter(|variable| !variable.value.is_empty() && !is_service_link(variable))
    }

    fn spellings(&self, setting: &str) -> Vec<String> {
        let mut spellings = Vec::new();
        let own = (!self.prefix.is_empty()).then_some(self.prefix.as_str());
        for prefix in own.into_iter().chain([""]) {
            if !setting.starts_with("REDIS_") {
                spellings.push(format!("{prefix}REDIS_{setting}"));
            }
            spellings.push(format!("{prefix}{setting}"));
        }
        spellings
    }
}

/// Whether Kubernetes made the variable for a service with the name `redis`: `REDIS_PORT=tcp://10.0.0.1:6379`.
fn is_service_link(variable: &Found<'_>) -> bool {
    variable.name.ends_with("REDIS_PORT") && variable.value.starts_with("tcp://")
}

impl Source for Variables<'_> {
    const MISSING: &'static str = "is not set";

    fn find(&self, setting: &Setting) -> Option<Found<'_>> {
        self.get(setting.variable)
    }

    fn find_by_start(&self, start: &Setting) -> Option<Found<'_>> {
        self.spellings(start.variable).iter().find_map(|spelling| {
            self.set().find(|variable| variable.name.starts_with(spelling.as_str()))
        })
    }

    fn name(&self, setting: &Setting) -> String {
        format!("{}{}", self.prefix, setting.variable)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn all(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn the_nearest_spelling_counts() {
        let nearest_last = all(&[
            ("READ_TIMEOUT", "1"),
            ("REDIS_READ_TIMEOUT", "2"),
            ("A_READ_TIMEOUT", "3"),
            ("A_REDIS_READ_TIMEOUT", "4"),
            ("B_READ_TIMEOUT", "5"),
        ]);
        for set in 1..=4 {
            let variables = Variables::new(&nearest_last[..set], "A_");
            let found = variables.get("READ_TIMEOUT").unwrap();
            assert_eq!((found.name, found.value), {
                let (name, value) = &nearest_last[set - 1];
                (name.as_str(), value.as_str())
            });
        }
        assert!(Variables::new(&nearest_last[4..], "A_").get("READ_TIMEOUT").is_none());
        let without_prefix = Variables::new(&nearest_last, "").get("READ_TIMEOUT").unwrap();
        assert_eq!(without_prefix.name, "REDIS_READ_TIMEOUT");
    }

    #[test]
    fn redis_is_put_in_front_once() {
        let set = all(&[("REDIS_REDIS_HOST", "x"), ("HOST", "y")]);
        assert!(Variables::new(&set, "").get("REDIS_HOST").is_none());
    }

    #[test]
    fn white_space_is_nothing() {
        let set = all(&[("A_REDIS_HOST", " \t"), ("REDIS_HOST", " h ")]);
        let found = Variables::new(&set, "A_").get("REDIS_HOST").unwrap();
        assert_eq!((found.name, found.value), ("REDIS_HOST", "h"));
    }
}
