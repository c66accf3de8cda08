//! Folders of Dapr's resource files, for a test.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{STORE, redis_server::RedisServer, redis_store::Setting};

/// A folder of resource files, removed when dropped.
pub struct Resources(TempDir);

impl Resources {
    /// Writes files of these names and texts into a new folder.
    ///
    /// # Panics
    ///
    /// When they cannot be written.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("holdfast-resources-").expect("a temporary directory");
        let resources = Self(folder);
        for (name, text) in files {
            resources.write(name, text);
        }
        resources
    }

    /// A folder whose only file defines the store `lockstore` on a server.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn in_redis(server: &RedisServer, settings: &[Setting<'_>]) -> Self {
        Self::new(&[("lockstore.yaml", &redis(STORE, server, settings))])
    }

    /// Writes or replaces a file.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).expect("a file");
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// The folder, as an argument of a program.
    ///
    /// # Panics
    ///
    /// When its name is not UTF-8.
    pub fn path(&self) -> &str {
        self.folder().to_str().expect("a name in UTF-8")
    }
}

/// The definition of a lock store, as a document that can follow others.
pub fn definition(name: &str, store_type: &str, settings: &[Setting<'_>]) -> String {
    let mut text = format!(
        "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  \
         type: {store_type}\n  version: v1\n"
    );
    if !settings.is_empty() {
        text += "  metadata:\n";
    }
    for (name, value) in settings {
        text += &format!("  - name: {name}\n    value: \"{value}\"\n");
    }
    text
}

/// The definition of a store on a server.
pub fn redis(name: &str, server: &RedisServer, settings: &[Setting<'_>]) -> String {
    let address = server.address();
    definition(name, "lock.redis", &[&[("redisHost", address.as_str())], settings].concat())
}

/// The definition of a store in memory.
pub fn in_memory(name: &str) -> String {
    definition(name, "lock.in-memory", &[])
}
