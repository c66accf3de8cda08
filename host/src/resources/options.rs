//! Which resource files to read, and for which application.

use std::{env, fmt, path::PathBuf, sync::Arc};

use super::environment::Env;
use crate::Limits;

/// Which resource files to read, and for which application.
#[derive(Clone)]
#[must_use = "options do nothing until they are given to `open` or `load`"]
pub struct Options {
    pub(super) folders: Vec<PathBuf>,
    pub(super) app_id: String,
    pub(super) limits: Limits,
    pub(super) only: Option<String>,
    pub(super) env: Arc<Env>,
}

impl Options {
    /// Reads the files of these folders, in this order, for an application without an id.
    pub fn new(folders: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self {
            folders: folders.into_iter().map(Into::into).collect(),
            app_id: String::new(),
            limits: Limits::default(),
            only: None,
            // A variable that is not UTF-8 counts as not set.
            env: Arc::new(|name| env::var(name).ok()),
        }
    }

    /// Sets the application's id, which is part of the keys of locks. `scopes` and `{appID}` in the files refer to it.
    pub fn app_id(mut self, app_id: impl Into<String>) -> Self {
        self.app_id = app_id.into();
        self
    }

    /// Sets the limits of the locks.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Connects only to the store of this name. The other stores exist, and every call in them fails: their servers may
    /// be down.
    pub fn only_store(mut self, name: impl Into<String>) -> Self {
        self.only = Some(name.into());
        self
    }

    /// Looks up environment variables with `env`. The default is the environment of this process.
    ///
    /// `NAMESPACE` is the namespace of this process. `POD_NAME` stands for `{podName}`. The files refer to other
    /// variables.
    pub fn environment(
        mut self,
        env: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.env = Arc::new(env);
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("folders", &self.folders)
            .field("app_id", &self.app_id)
            .field("limits", &self.limits)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}
