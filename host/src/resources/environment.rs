//! The environment that resource files refer to.

/// Looks up an environment variable; `None` if it is not set.
pub(super) type Env = dyn Fn(&str) -> Option<String> + Send + Sync;
