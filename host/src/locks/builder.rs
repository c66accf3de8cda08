//! The builder of a handle.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use tokio_util::task::TaskTracker;

use super::{
    admission::Admission, answers::RememberedAnswers, app::App, calls::CallCounters, drive::Shared,
    handle::Locks, store::NamedStore,
};
use crate::{
    error::BuildError, limits::Limits, lowercase::lowercase, metrics, runtime::Pool, store::Store,
};

/// Builds a [`Locks`].
#[derive(Default)]
#[must_use = "it does nothing until `build` is called"]
pub struct LocksBuilder {
    app_id: String,
    stores: Vec<Given>,
    /// The names of the stores whose grants all get fencing tokens.
    fencing: Vec<String>,
    limits: Limits,
}

struct Given {
    name: String,
    key_prefix: Option<String>,
    store: Arc<dyn Store>,
}

impl Locks {
    /// Starts a builder with no store, no application id and the default limits.
    pub fn builder() -> LocksBuilder {
        LocksBuilder::default()
    }
}

impl LocksBuilder {
    /// The id of the application that locks; none by default. It must not contain `|`.
    pub fn app_id(mut self, app_id: impl Into<String>) -> Self {
        self.app_id = app_id.into();
        self
    }

    /// Adds a store under a name. Its keys contain the application's id.
    pub fn store(self, name: impl Into<String>, store: Arc<dyn Store>) -> Self {
        self.given(name.into(), None, store)
    }

    /// Adds a store under a name, with Dapr's `keyPrefix` setting: `appid`, `name`, `none`, or any other word. Case
    /// does not matter. An empty word is valid too: keys then start with `lock||||`.
    pub fn store_with_key_prefix(
        self,
        name: impl Into<String>,
        key_prefix: impl AsRef<str>,
        store: Arc<dyn Store>,
    ) -> Self {
        self.given(name.into(), Some(lowercase(key_prefix.as_ref())), store)
    }

    /// Gives every grant of the store of that name a [fencing token](crate::types::Lease::fencing_token), also those of
    /// [`try_lock`](Locks::try_lock).
    pub fn fencing(mut self, name: impl Into<String>) -> Self {
        self.fencing.push(name.into());
        self
    }

    fn given(mut self, name: String, key_prefix: Option<String>, store: Arc<dyn Store>) -> Self {
        self.stores.push(Given { name, key_prefix, store });
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Loads the lock component and warms it up. The metrics of these locks go to the recorder that is
    /// installed at this moment.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn build(self) -> Result<Locks, BuildError> {
        metrics::describe();
        let mut stores: Vec<Arc<NamedStore>> = Vec::with_capacity(self.stores.len());
        for Given { name, key_prefix, store } in self.stores {
            if stores.iter().any(|other| other.name == name) {
                return Err(BuildError::DuplicateStore(name));
            }
            let fencing = self.fencing.contains(&name);
            stores.push(Arc::new(NamedStore::new(name, key_prefix, store, fencing)));
        }
        let exists = |name: &&String| stores.iter().any(|store| store.name == **name);
        if let Some(name) = self.fencing.iter().find(|name| !exists(name)) {
            return Err(BuildError::StoreNotFound(name.clone()));
        }
        let pool = Pool::new(&self.limits)?;
        let app = App::new(&pool, &self.app_id, &stores)?;
        let shared = Shared {
            pool,
            stores,
            admission: Admission::new(&self.limits),
            answers: RememberedAnswers::default(),
            background: TaskTracker::new(),
            closed: AtomicBool::new(false),
            calls_to_unknown: CallCounters::of_unknown_store(),
        };
        Ok(Locks { shared: Arc::new(shared), app: Arc::new(app) })
    }
}

impl fmt::Debug for LocksBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.stores.iter().map(|given| &given.name).collect();
        f.debug_struct("LocksBuilder")
            .field("app_id", &self.app_id)
            .field("stores", &names)
            .field("limits", &self.limits)
            .finish()
    }
}
