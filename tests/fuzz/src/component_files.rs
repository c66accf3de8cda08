//! A YAML file of Dapr's resources: components, secret stores, policies.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use holdfast::store::{properties::Properties, redis::RedisSettings};

use crate::components::{Loaded, Store, load};

/// The most bytes that the settings of a file may have, with aliases and templates written out.
const LARGEST: usize = 64 << 20;

/// Loads the input as a file.
pub fn run(input: &[u8]) {
    // Without a line end at its end, the file's last line would continue with appended text.
    let file = String::from_utf8_lossy(input).into_owned() + "\n";
    let mut hasher = DefaultHasher::new();
    file.hash(&mut hasher);
    // No file can contain the hash of itself.
    let unique = format!("unique-{:016x}", hasher.finish());

    let loaded = load(&file, &unique);
    tells_no_secret(&loaded, &unique);
    is_alone(&file, &loaded, &unique);
    for store in loaded.result.iter().flat_map(|defined| &defined.stores) {
        let size: usize = store.settings.values().map(String::len).sum();
        assert!(size <= LARGEST, "{size} bytes of settings");
        assert!(!store.name.is_empty() && !store.init_timeout.is_zero());
        has_settings(store, &unique);
    }
}

/// Neither notices nor errors contain a value from the environment or a secret store, except for the path of a
/// secrets file.
fn tells_no_secret(loaded: &Loaded, secret: &str) {
    let texts = loaded.notices.iter().chain(loaded.result.as_ref().err());
    for text in texts {
        let text = text.replace(&format!("the secrets file {secret}"), "");
        assert!(!text.contains(secret), "a secret in: {text}");
    }
}

/// A document after a separator is read whatever precedes it, and does not change how the text before it is read.
fn is_alone(file: &str, loaded: &Loaded, unique: &str) {
    let document = format!(
        "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {unique}\n\
         spec:\n  type: lock.in-memory\n  version: v1\n"
    );
    let mut both = load(&format!("{file}{document}"), unique);
    if let Ok(defined) = &mut both.result {
        let last = defined.stores.pop().map(|store| store.name);
        assert_eq!(last.as_deref(), Some(unique));
    }
    // A template can stand for something new each time.
    if both != *loaded && load(file, unique) == *loaded {
        assert_eq!(both, *loaded);
    }
}

/// The settings of a store in Redis are read or refused, without showing a value.
fn has_settings(store: &Store, secret: &str) {
    let mut properties = Properties::default();
    // The source of each setting is not known any more.
    store.settings.iter().for_each(|(name, value)| properties.insert_secret(name, value));
    match RedisSettings::parse(&properties) {
        Err(error) => assert!(!error.to_string().contains(secret), "a secret in: {error}"),
        Ok(settings) => {
            let shown = ["redishost", "redisusername"];
            let is_shown =
                |name: &&str| store.settings.get(*name).is_some_and(|it| it.contains(secret));
            if !shown.iter().any(is_shown) {
                assert!(!format!("{settings:?}").contains(secret), "a secret in Debug");
            }
        }
    }
}
