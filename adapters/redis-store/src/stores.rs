//! The stores that the environment describes.
//!
//! `HOLDFAST_STORES` lists their names, and the variables of each start with its name in upper case.
//! Without the list there is one store, whose variables have no prefix.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};

use holdfast_redis_rules::{
    address::Address,
    settings::{Servers, SettingError, Settings, tls::Tls},
};

use crate::{bindings::StoreInfo, environment::Variables};

/// The name of the only store, as in Dapr's documentation.
const DEFAULT_NAME: &str = "lockstore";

/// A store, and its server and settings, or why they cannot be used.
pub(crate) struct Described {
    pub(crate) info: StoreInfo,
    pub(crate) settings: Result<(Address, Settings), String>,
}

/// Reads the environment. A mistake affects its own store only.
pub(crate) fn described(environment: &[(String, String)]) -> Vec<Described> {
    let common = Variables::new(environment, "");
    let Some(list) = common.get("HOLDFAST_STORES") else {
        let name = common.get("STORE_NAME").map_or(DEFAULT_NAME, |variable| variable.value);
        return vec![describe(name, &common)];
    };
    let names: Vec<&str> =
        list.value.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut described = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let prefix = prefix(name);
        let mut store = describe(name, &Variables::new(environment, &prefix));
        if let Some(other) = names[..index].iter().find(|other| self::prefix(other) == prefix) {
            store.settings = Err(format!(
                "lock store {name}: environment variable HOLDFAST_STORES also lists {other}, \
                 whose variables start with {prefix} too"
            ));
        }
        described.push(store);
    }
    described
}

fn describe(name: &str, variables: &Variables) -> Described {
    let text = |setting| variables.get(setting).map(|variable| variable.value);
    let settings = lowered(variables)
        .and_then(|_| Tls::refuse(variables))
        .and_then(|()| Ok((Servers::read_one(variables)?, Settings::read(variables)?)));
    Described {
        info: StoreInfo {
            name: name.to_owned(),
            key_prefix: lowered(variables).unwrap_or(None),
            app_id: text("APP_ID").unwrap_or_default().to_owned(),
        },
        settings: settings
            .map_err(|error| format!("lock store {name}: environment variable {error}")),
    }
}

/// The key prefix in lower case. Only ASCII is supported: the tables for all scripts would be a seventh of the
/// component, and a wrong key would not exclude other programs.
fn lowered(variables: &Variables) -> Result<Option<String>, SettingError> {
    match variables.get("KEY_PREFIX") {
        None => Ok(None),
        Some(prefix) if prefix.value.is_ascii() => Ok(Some(prefix.value.to_ascii_lowercase())),
        Some(prefix) => Err(prefix.error("has characters that are not ASCII")),
    }
}

/// The prefix of a store's variables: `LOCK_EU_` for the store `lock-eu`.
fn prefix(name: &str) -> String {
    let in_a_variable =
        |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(in_a_variable).chain(['_']).collect()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Vec<Described> {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        described(&variables.iter().map(owned).collect::<Vec<_>>())
    }

    fn info(name: &str, key_prefix: Option<&str>, app_id: &str) -> StoreInfo {
        let key_prefix = key_prefix.map(Into::into);
        StoreInfo { name: name.into(), key_prefix, app_id: app_id.into() }
    }

    fn problem_of(described: &Described) -> &str {
        described.settings.as_ref().err().map_or("", String::as_str)
    }

    #[test]
    fn one_store_without_a_list() {
        let stores = read(&[("REDIS_HOST", "h"), ("APP_ID", "App"), ("KEY_PREFIX", "MyWord")]);
        assert_eq!(stores[0].info, info("lockstore", Some("myword"), "App"));
        assert_eq!((stores.len(), problem_of(&stores[0])), (1, ""));
        let named = read(&[("REDIS_HOST", "h"), ("STORE_NAME", "other")]);
        assert_eq!(named[0].info, info("other", None, ""));
    }

    #[test]
    fn a_prefix_that_cannot_be_lowered_is_refused() {
        let stores = read(&[("REDIS_HOST", "h"), ("KEY_PREFIX", "Ä")]);
        assert_eq!(
            problem_of(&stores[0]),
            "lock store lockstore: environment variable KEY_PREFIX has characters that are not ASCII"
        );
    }

    #[test]
    fn a_list_gives_each_its_variables() {
        let stores = read(&[
            ("HOLDFAST_STORES", "a, lock-eu,"),
            ("STORE_NAME", "unused"),
            ("A_REDIS_HOST", "h:1"),
            ("LOCK_EU_REDIS_HOST", "h:2"),
            ("LOCK_EU_APP_ID", "eu"),
            ("APP_ID", "all"),
        ]);
        let infos: Vec<_> = stores.iter().map(|store| store.info.clone()).collect();
        assert_eq!(infos, [info("a", None, "all"), info("lock-eu", None, "eu")]);
        let addresses: Vec<_> =
            stores.iter().map(|store| store.settings.as_ref().unwrap().0.to_string()).collect();
        assert_eq!(addresses, ["h:1", "h:2"]);
    }

    #[test]
    fn a_service_link_of_kubernetes_is_no_port() {
        let stores = read(&[("REDIS_HOST", "h:1"), ("REDIS_PORT", "tcp://10.0.0.1:6379")]);
        assert_eq!(problem_of(&stores[0]), "");
        assert_eq!(stores[0].settings.as_ref().unwrap().0.to_string(), "h:1");
    }

    #[test]
    fn a_mistake_names_store_and_variable() {
        let none = read(&[]);
        assert_eq!(
            problem_of(&none[0]),
            "lock store lockstore: environment variable REDIS_HOST is not set"
        );
        let one_of_two =
            read(&[("HOLDFAST_STORES", "a,b"), ("A_REDIS_HOST", "h"), ("A_READ_TIMEOUT", "soon")]);
        assert_eq!(
            problem_of(&one_of_two[0]),
            "lock store a: environment variable A_READ_TIMEOUT is not a duration, such as 5s or \
             1m30s, or a number of milliseconds"
        );
        assert_eq!(
            problem_of(&one_of_two[1]),
            "lock store b: environment variable B_REDIS_HOST is not set"
        );
    }

    #[test]
    fn a_mistake_names_the_variable_that_is_set() {
        let tls = "asks for TLS, which this component does not support";
        let sentinel = "asks for Redis Sentinel, which this component does not support";
        for (variable, value, problem) in [
            ("REDIS_PORT", "2", "differs from the port in REDIS_HOST"),
            ("REDIS_FAILOVER", "true", sentinel),
            ("FAILOVER", "true", sentinel),
            ("ENABLE_TLS", "true", tls),
            ("REDIS_ENABLE_TLS", "1", tls),
            ("ENABLE_TLS", "yes", "is not true or false"),
            (
                "OIDC_CLIENT_ID",
                "x",
                "asks for a cloud identity provider, which this version does not support",
            ),
            ("REDIS_MAX_RETRIES", "few", "is not a whole number, or -1 for no retries"),
        ] {
            let store = &read(&[("REDIS_HOST", "h:1"), (variable, value)])[0];
            let expected =
                format!("lock store lockstore: environment variable {variable} {problem}");
            assert_eq!(problem_of(store), expected);
        }
    }

    #[test]
    fn two_stores_cannot_share_a_prefix() {
        let stores = read(&[("HOLDFAST_STORES", "a-b,a_b"), ("REDIS_HOST", "h")]);
        assert_eq!(problem_of(&stores[0]), "");
        assert_eq!(
            problem_of(&stores[1]),
            "lock store a_b: environment variable HOLDFAST_STORES also lists a-b, whose variables \
             start with A_B_ too"
        );
    }
}
