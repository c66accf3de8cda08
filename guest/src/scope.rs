//! The stores of an application, and how each one makes its keys.
//!
//! Source of the key rules: Dapr 1.18, components-contrib `lock/redis` and runtime
//! `pkg/components/lock/lock_config.go`.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::bindings::StoreInfo;

/// What separates the parts of a key, and must not stand in a resource id or a prefix.
pub const SEPARATOR: &str = "||";

/// The stores that one application may name.
#[derive(Debug)]
pub struct Scope {
    stores: Vec<Store>,
}

/// A store and its way to make keys.
#[derive(Debug)]
pub struct Store {
    name: String,
    /// Everything of a key that stands before the resource id.
    key_start: String,
}

impl Scope {
    /// Reads the stores' settings.
    ///
    /// # Errors
    ///
    /// A `keyPrefix` that contains `||`: the text names the store and the setting.
    pub fn new(stores: &[StoreInfo]) -> Result<Self, String> {
        stores.iter().map(Store::new).collect::<Result<_, _>>().map(|stores| Self { stores })
    }

    /// Whether there is no lock store at all.
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// The store of that name, compared exactly.
    pub fn store(&self, name: &str) -> Option<&Store> {
        self.stores.iter().find(|store| store.name == name)
    }
}

impl Store {
    fn new(info: &StoreInfo) -> Result<Self, String> {
        let strategy = info.key_prefix.as_str();
        if contains_separator(strategy) {
            return Err(format!(
                "lock store {}: keyPrefix: input key/keyPrefix '{strategy}' can't contain '{SEPARATOR}'",
                info.name
            ));
        }
        let prefix = match strategy {
            "" | "appid" => &info.app_id,
            "name" => &info.name,
            "none" => "",
            word => word,
        };
        let key_start = match prefix {
            "" => format!("lock{SEPARATOR}"),
            prefix => format!("lock{SEPARATOR}{prefix}{SEPARATOR}"),
        };
        Ok(Self { name: info.name.to_string(), key_start })
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of a resource; `None` where the resource id contains `||`.
    pub fn key(&self, resource_id: &str) -> Option<String> {
        if contains_separator(resource_id) {
            return None;
        }
        let mut key = String::with_capacity(self.key_start.len() + resource_id.len());
        key.push_str(&self.key_start);
        key.push_str(resource_id);
        Some(key)
    }
}

/// `str::contains` would bring its search algorithm along, for two bytes.
fn contains_separator(text: &str) -> bool {
    text.as_bytes().windows(SEPARATOR.len()).any(|window| window == SEPARATOR.as_bytes())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn store(name: &str, key_prefix: &str, app_id: &str) -> Result<Scope, String> {
        Scope::new(&[StoreInfo {
            name: name.into(),
            key_prefix: key_prefix.into(),
            app_id: app_id.into(),
        }])
    }

    #[test]
    fn keys_by_strategy() {
        let rows = [
            ("", "app1", "lock||app1||r"),
            ("appid", "app1", "lock||app1||r"),
            ("appid", "App1", "lock||App1||r"),
            ("appid", "", "lock||r"),
            ("name", "app1", "lock||MyStore||r"),
            ("none", "app1", "lock||r"),
            ("word", "app1", "lock||word||r"),
            ("a|b", "app1", "lock||a|b||r"),
        ];
        for (key_prefix, app_id, key) in rows {
            let scope = store("MyStore", key_prefix, app_id).unwrap();
            let made = scope.store("MyStore").unwrap().key("r");
            assert_eq!(made.as_deref(), Some(key), "keyPrefix {key_prefix:?}, app id {app_id:?}");
        }
    }

    #[test]
    fn a_prefix_with_the_separator_is_a_configuration_error() {
        let error = store("s", "a||b", "app").unwrap_err();
        assert_eq!(error, "lock store s: keyPrefix: input key/keyPrefix 'a||b' can't contain '||'");
    }

    #[test]
    fn names_are_compared_exactly() {
        let scope = store("Store", "", "").unwrap();
        assert!(scope.store("store").is_none());
        assert!(!scope.is_empty());
        assert!(Scope::new(&[]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn keys_round_trip(app_id in "[a-z0-9-]{1,12}", resource_id in "\\PC{1,40}") {
            let scope = store("s", "appid", &app_id).unwrap();
            match scope.store("s").unwrap().key(&resource_id) {
                None => prop_assert!(resource_id.contains("||")),
                Some(key) => {
                    let parts: Vec<_> = key.splitn(3, "||").collect();
                    prop_assert_eq!(parts, vec!["lock", app_id.as_str(), resource_id.as_str()]);
                }
            }
        }
    }
}
