//! A store in Redis, for cases that do something to its server.

use std::{future::Future, pin::Pin, sync::Arc};

use holdfast::store::Store;

use crate::redis_store::Setting;

/// A way to keep locks in Redis.
pub trait Redis {
    /// Opens a store with settings, which have the names that a component file has. Returns the cause when the
    /// store needs a connection and gets none.
    fn open<'a>(&'a self, settings: &'a [Setting<'a>]) -> Opening<'a>;
}

/// A store that is being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn Store>, String>> + 'a>>;
