//! The environment that resource files refer to.

/// Looks up an environment variable; `None` where it is not set.
pub(super) type Env = dyn Fn(&str) -> Option<String> + Send + Sync;
