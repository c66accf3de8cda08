//! The stores of an application, and how each one makes its keys.
//!
//! Source of the key rules: Dapr 1.18, components-contrib `lock/redis` and runtime
//! `pkg/components/lock/lock_config.go`.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::types::StoreInfo;

/// Separates the parts of a key. Resource ids and prefixes must not contain it.
pub const SEPARATOR: &str = "||";

/// The stores that one application may name.
#[derive(Debug)]
pub struct Scope {
    stores: Vec<Store>,
}

/// A store, and how it makes keys.
#[derive(Debug)]
pub struct Store {
    name: String,
    /// The part of a key before the resource id.
    key_start: String,
}

/// The store that a call names, if the scope has it.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'s> {
    scope: &'s Scope,
    store: Result<&'s Store, &'s str>,
}

impl Scope {
    /// Reads the stores' settings.
    ///
    /// # Errors
    ///
    /// If two applications, or two stores, could share a key by accident:
    ///
    /// - an application's id contains `|`: with the id `one|` the resource `x` would have the key that
    ///   `|x` has with the id `one`;
    /// - a prefix ends with `|`, for the same reason;
    /// - a prefix contains `||`.
    ///
    /// The text names the application's id, or the store and the setting.
    pub fn new(stores: &[StoreInfo]) -> Result<Self, String> {
        stores.iter().map(Store::new).collect::<Result<_, _>>().map(|stores| Self { stores })
    }

    /// Stores of these names, for code that only checks calls: their keys have no prefix.
    pub fn of_names(names: impl IntoIterator<Item = String>) -> Self {
        let key_start = format!("lock{SEPARATOR}");
        let store = |name| Store { name, key_start: key_start.clone() };
        Self { stores: names.into_iter().map(store).collect() }
    }

    /// Whether no lock store is configured.
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// The store of that name, compared exactly.
    pub fn named<'s>(&'s self, name: &'s str) -> Choice<'s> {
        let store = self.stores.iter().find(|store| store.name == name).ok_or(name);
        Choice { scope: self, store }
    }

    /// The store at this position of the list that [`new`](Self::new) received.
    ///
    /// # Panics
    ///
    /// If the list was shorter.
    pub fn at(&self, position: u32) -> Choice<'_> {
        match self.stores.get(position as usize) {
            Some(store) => Choice { scope: self, store: Ok(store) },
            None => panic!("the scope has no store {position}"),
        }
    }

    /// The choice of a name that the scope does not have.
    pub fn unknown<'s>(&'s self, name: &'s str) -> Choice<'s> {
        Choice { scope: self, store: Err(name) }
    }
}

impl<'s> Choice<'s> {
    /// The scope that was searched.
    pub fn scope(self) -> &'s Scope {
        self.scope
    }

    /// The store; `None` if the scope does not have it.
    pub fn store(self) -> Option<&'s Store> {
        self.store.ok()
    }

    /// The name that the call gave.
    pub fn name(self) -> &'s str {
        self.store.map_or_else(|name| name, |store| &store.name)
    }
}

/// Checks that an application may have this id, which is a part of keys.
///
/// # Errors
///
/// If the id contains `|`.
pub fn check_app_id(app_id: &str) -> Result<(), String> {
    match app_id.contains('|') {
        true => Err(format!("the app id {app_id} contains |, which separates the parts of a key")),
        false => Ok(()),
    }
}

impl Store {
    fn new(info: &StoreInfo) -> Result<Self, String> {
        let StoreInfo { name, key_prefix, app_id } = info;
        check_app_id(app_id)?;
        let refused = |problem| Err(format!("lock store {name}: keyPrefix: {problem}"));
        let key_prefix = key_prefix.as_deref().unwrap_or("appid");
        if contains_separator(key_prefix) {
            return refused(format!(
                "input key/keyPrefix '{key_prefix}' can't contain '{SEPARATOR}'"
            ));
        }
        let prefix = match key_prefix {
            "appid" => Some(app_id.as_str()).filter(|id| !id.is_empty()),
            "name" => Some(name.as_str()),
            "none" => None,
            // This includes an empty word.
            word => Some(word),
        };
        let key_start = match prefix {
            None => format!("lock{SEPARATOR}"),
            Some(prefix) if prefix.ends_with('|') => {
                return refused(format!(
                    "the prefix '{prefix}' ends with |, which separates the parts of a key"
                ));
            }
            Some(prefix) => format!("lock{SEPARATOR}{prefix}{SEPARATOR}"),
        };
        Ok(Self { name: name.to_string(), key_start })
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The start of the keys of all resources.
    pub fn key_start(&self) -> &str {
        &self.key_start
    }

    /// The key of a resource; `None` if the resource id contains `||`.
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

/// Own code: `str::contains` would add its search algorithm to the component, for two bytes. The pattern names each
/// byte, because the component would compare slices by a function call for each byte of the text.
fn contains_separator(text: &str) -> bool {
    text.as_bytes().windows(SEPARATOR.len()).any(|window| matches!(window, [b'|', b'|']))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn store<'a>(
        name: &str,
        key_prefix: impl Into<Option<&'a str>>,
        app_id: &str,
    ) -> Result<Scope, String> {
        Scope::new(&[StoreInfo {
            name: name.into(),
            key_prefix: key_prefix.into().map(Into::into),
            app_id: app_id.into(),
        }])
    }

    #[test]
    fn keys_by_strategy() {
        let rows = [
            (None, "app1", "lock||app1||r"),
            (None, "", "lock||r"),
            (None, "my.app", "lock||my.app||r"),
            (None, "a/b \u{e9}", "lock||a/b \u{e9}||r"),
            (Some(""), "app1", "lock||||r"),
            (Some(""), "", "lock||||r"),
            (Some("appid"), "app1", "lock||app1||r"),
            (Some("appid"), "App1", "lock||App1||r"),
            (Some("appid"), "", "lock||r"),
            (Some("name"), "app1", "lock||MyStore||r"),
            (Some("none"), "app1", "lock||r"),
            (Some("word"), "app1", "lock||word||r"),
            (Some(" appid"), "app1", "lock|| appid||r"),
            (Some("a|b"), "app1", "lock||a|b||r"),
        ];
        for (key_prefix, app_id, key) in rows {
            let scope = store("MyStore", key_prefix, app_id).unwrap();
            let made = scope.named("MyStore").store().unwrap().key("r");
            assert_eq!(made.as_deref(), Some(key), "keyPrefix {key_prefix:?}, app id {app_id:?}");
        }
    }

    #[test]
    fn a_prefix_with_the_separator_is_a_configuration_error() {
        let error = store("s", "a||b", "app").unwrap_err();
        assert_eq!(error, "lock store s: keyPrefix: input key/keyPrefix 'a||b' can't contain '||'");
    }

    #[test]
    fn no_two_applications_and_no_two_prefixes_can_share_a_key() {
        for app_id in ["one|", "|one", "o|ne"] {
            assert_eq!(
                store("s", "name", app_id).unwrap_err(),
                format!("the app id {app_id} contains |, which separates the parts of a key")
            );
        }
        for (name, key_prefix, prefix) in [("s", "word|", "word|"), ("s|", "name", "s|")] {
            assert_eq!(
                store(name, key_prefix, "app").unwrap_err(),
                format!(
                    "lock store {name}: keyPrefix: the prefix '{prefix}' ends with |, which separates \
                     the parts of a key"
                )
            );
        }
        // A name is not a prefix unless the setting says so.
        assert!(store("s|", "appid", "app").is_ok());
    }

    #[test]
    fn names_are_compared_exactly() {
        let scope = store("Store", None, "").unwrap();
        assert!(scope.named("store").store().is_none());
        assert_eq!(scope.named("store").name(), "store");
        assert_eq!(scope.at(0).name(), "Store");
        assert!(!scope.is_empty());
        assert!(Scope::new(&[]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn keys_round_trip(app_id in "[a-z0-9-]{1,12}", resource_id in "\\PC{1,40}") {
            let scope = store("s", "appid", &app_id).unwrap();
            match scope.at(0).store().unwrap().key(&resource_id) {
                None => prop_assert!(resource_id.contains("||")),
                Some(key) => {
                    let parts: Vec<_> = key.splitn(3, "||").collect();
                    prop_assert_eq!(parts, vec!["lock", app_id.as_str(), resource_id.as_str()]);
                }
            }
        }
    }
}
