//! Opens the stores of resource files, and builds locks over them.
//!
//! This module chooses the store that a type names. The store's own module opens it.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use holdfast_redis_rules::{
    refusal::{RefusedLogin, names_forbidden_key},
    settings::{NOT_A_BOOLEAN, boolean},
};
use holdfast_rules::{
    scope::{Scope, check_app_id},
    types::StoreInfo,
};
use tokio::time::{Instant, timeout};

use super::{
    definition::StoreDefinition,
    error::{Level, LoadError, Notice},
    load::{Resources, load},
    metrics::ComponentMetrics,
    open_error::{OpenCause, OpenError, StoreError},
    opened::{OpenResult, OpenResults, OpenedLocks, OpenedStore},
    options::Options,
    unopened::unopened,
};
use crate::{
    BuildError, Locks,
    lowercase::lowercase,
    policy::Resiliency,
    store::{
        Store,
        memory::MemoryStore,
        properties::{Properties, SettingError},
        redis::{self, ConnectError, RedisSettings},
    },
};

/// Reads resource files, opens the stores that they define, all at the same time, and builds the
/// locks over them. Must be called in a Tokio runtime with time and I/O enabled.
///
/// Each store is opened within its `initTimeout`, and put under the policies that the files define for it. A store that
/// cannot be opened is left out if its definition has `ignoreErrors: true`. Notices about the files are logged with the
/// crate `tracing`. Install a recorder of metrics before this call.
///
/// ```
/// use std::{fs, time::Duration};
///
/// use holdfast::{
///     Attempt, Resource,
///     resources::{self, Options},
/// };
///
/// const STORE: &str = "
/// apiVersion: dapr.io/v1alpha1
/// kind: Component
/// metadata:
///   name: lockstore
/// spec:
///   type: lock.in-memory
///   version: v1
/// ";
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// fs::write(folder.path().join("lockstore.yaml"), STORE)?;
///
/// let options = Options::new([folder.path()]).app_id("shop");
/// let locks = resources::open(&options).await?.locks;
/// let order = Resource { store: "lockstore", id: "order-17" };
/// let attempt = locks.try_lock(order, "worker-1", Duration::from_secs(60)).await?;
/// assert_eq!(attempt, Attempt::Acquired);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// See [`OpenError`].
pub async fn open(options: &Options) -> Result<OpenedLocks, OpenError> {
    let metrics = ComponentMetrics::new(&options.app_id);
    let (mut stores, mut errors) = (Vec::new(), Vec::new());
    let OpenResults { stores: openings, edge_locks } = open_each(options, &mut log).await?;
    for OpenResult { definition, result } in openings {
        metrics.opened(&result);
        match result {
            Ok(store) => stores.push(store),
            Err(error) if definition.ignore_errors => {
                tracing::warn!("skipped a store whose definition sets ignoreErrors: {error}");
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(OpenError::Stores(errors));
    }
    Ok(OpenedLocks { locks: options.locks(&stores)?, stores, edge_locks })
}

/// Locks over a single store in memory, named `lockstore`, for a start without resource files. Does not read the
/// folders of the options.
///
/// # Errors
///
/// See [`BuildError`].
pub fn in_memory(options: &Options) -> Result<OpenedLocks, BuildError> {
    let store = OpenedStore {
        name: "lockstore".to_owned(),
        component_type: "lock.in-memory".to_owned(),
        version: "v1".to_owned(),
        key_prefix: None,
        fencing: false,
        store: Arc::new(MemoryStore::new()),
    };
    ComponentMetrics::new(&options.app_id).opened(&Ok(store.clone()));
    let stores = vec![store];
    Ok(OpenedLocks { locks: options.locks(&stores)?, stores, edge_locks: Vec::new() })
}

/// Reads resource files and opens the stores that they define, all at the same time, each within its `initTimeout` and
/// under its policies. Gives the result for each store, in the order of the files. Must be called in a Tokio runtime
/// with time and I/O enabled.
///
/// # Errors
///
/// If the files cannot be used: see [`load`].
pub async fn open_each(
    options: &Options,
    notify: &mut dyn FnMut(Notice),
) -> Result<OpenResults, LoadError> {
    let Resources { stores, resiliency, edge_locks } = load(options, notify)?;
    let openings = stores.into_iter().map(async |definition| {
        if options.only.as_ref().is_some_and(|only| *only != definition.name) {
            let result = Ok(unopened(&definition));
            return OpenResult { definition, result };
        }
        let opened = open_one(options, &definition).await;
        let result = opened.map(|open| under_policies(open, &resiliency));
        OpenResult { definition, result }
    });
    Ok(OpenResults { stores: join_all(openings).await, edge_locks })
}

impl Options {
    /// Builds the locks over open stores.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn locks(&self, stores: &[OpenedStore]) -> Result<Locks, BuildError> {
        let builder = Locks::builder().app_id(&self.app_id).limits(self.limits.clone());
        let builder = stores.iter().fold(builder, |builder, open| match &open.key_prefix {
            Some(prefix) => builder.store_with_key_prefix(&open.name, prefix, open.store.clone()),
            None => builder.store(&open.name, open.store.clone()),
        });
        let fencing = stores.iter().filter(|open| open.fencing);
        fencing.fold(builder, |builder, open| builder.fencing(&open.name)).build()
    }
}

async fn open_one(
    options: &Options,
    definition: &StoreDefinition,
) -> Result<OpenedStore, StoreError> {
    let StoreDefinition { name, component_type, version, init_timeout, .. } = definition;
    let key_prefix = definition.properties.get("keyPrefix").map(lowercase);
    let opening = async {
        let fencing = fencing(&definition.properties)?;
        let kind = StoreKind::of(definition)?;
        let key_start = key_start(&options.app_id, name, key_prefix.as_deref())?;
        let begun = Instant::now();
        let store: Arc<dyn Store> = match kind {
            StoreKind::Redis(settings) => {
                open_redis(definition, *settings, key_start.as_deref()).await?
            }
            StoreKind::InMemory => Arc::new(MemoryStore::new()),
        };
        if fencing {
            let left = init_timeout.saturating_sub(begun.elapsed());
            let key_start = key_start.unwrap_or_default();
            let trial = try_fencing(name, &*store, &key_start);
            timeout(left, trial).await.map_err(|_| OpenCause::Timeout {
                limit: *init_timeout,
                waited_for: "no answer yet to an acquire with a fencing token (fencing)".to_owned(),
            })??;
        }
        Ok((store, fencing))
    };
    let (store, fencing) = opening.await.map_err(|cause| failed(definition, cause))?;
    Ok(OpenedStore {
        name: name.clone(),
        component_type: component_type.clone(),
        version: version.clone(),
        key_prefix,
        fencing,
        store,
    })
}

/// The prefix of a store's keys; `None` if the application's id is refused, which the caller reports when it builds the
/// locks of all stores. Asked of the rules as they are linked here: the component would need an engine for each store.
///
/// # Errors
///
/// The rules refuse the store's `keyPrefix`.
fn key_start(
    app_id: &str,
    name: &str,
    key_prefix: Option<&str>,
) -> Result<Option<String>, OpenCause> {
    if check_app_id(app_id).is_err() {
        return Ok(None);
    }
    let key_prefix = key_prefix.map(str::to_owned);
    let info = StoreInfo { name: name.to_owned(), key_prefix, app_id: app_id.to_owned() };
    let scope = Scope::new(&[info]).map_err(OpenCause::Refused)?;
    Ok(scope.named(name).store().map(|store| store.key_start().to_owned()))
}

fn failed(definition: &StoreDefinition, cause: OpenCause) -> StoreError {
    StoreError {
        source_file: definition.source.clone(),
        component: definition.name.clone(),
        component_type: definition.component_type.clone(),
        cause,
    }
}

/// The setting `fencing`; false if it is missing or empty.
fn fencing(properties: &Properties) -> Result<bool, SettingError> {
    match properties.get("fencing").map(str::trim) {
        None | Some("") => Ok(false),
        Some(value) => boolean(value).ok_or_else(|| properties.wrong("fencing", NOT_A_BOOLEAN)),
    }
}

/// Fails if the store cannot give its grants fencing tokens. A user who may not use this key is accepted with a
/// warning, because only a use of other keys shows whether the user may use them.
async fn try_fencing(name: &str, store: &dyn Store, key_start: &str) -> Result<(), SettingError> {
    let owner = format!("{:016x}", fastrand::u64(..));
    // All checks share one key, because the fencing token of each key is kept for a month. If another check holds the
    // lock, this proves the same.
    let key = format!("{key_start}holdfast-check-fencing");
    match store.acquire_fenced(&key, &owner, Duration::from_secs(10)).await {
        Err(failure) if names_forbidden_key(failure.cause()) => {
            let refusal = failure.cause();
            tracing::warn!(
                store = name,
                "could not give a grant a fencing token: the user of Redis may not use the key {key}, or the key of its \
                 token, which begins with lock||fence|| ({refusal})"
            );
        }
        Err(failure) => {
            let problem = format!("cannot be true: {}", failure.cause());
            return Err(SettingError::new("fencing", problem));
        }
        Ok(_) => {}
    }
    // If the release fails, the lock expires by itself.
    let _ = store.release(&key, &owner).await;
    Ok(())
}

/// The kind of store that a type names, with its settings.
enum StoreKind {
    Redis(Box<RedisSettings>),
    InMemory,
}

impl StoreKind {
    fn of(definition: &StoreDefinition) -> Result<Self, OpenCause> {
        match lowercase(&definition.component_type).as_str() {
            "lock.redis" => {
                Ok(Self::Redis(Box::new(RedisSettings::parse(&definition.properties)?)))
            }
            "lock.in-memory" => Ok(Self::InMemory),
            _ => Err(OpenCause::UnknownType),
        }
    }
}

async fn open_redis(
    definition: &StoreDefinition,
    settings: RedisSettings,
    key_start: Option<&str>,
) -> Result<Arc<dyn Store>, OpenCause> {
    let settings = match key_start {
        Some(start) => settings.check_key_prefix(start),
        None => settings,
    };
    let limit = definition.init_timeout;
    match redis::connect_within(&definition.name, settings, limit).await {
        Ok(store) => Ok(store),
        Err(error @ ConnectError::Late { .. }) => {
            Err(OpenCause::Timeout { limit, waited_for: error.to_string() })
        }
        Err(error) => Err(with_a_hint(error, definition)),
    }
}

/// Adds a hint to a refused login: YAML may have read the password as a value that is not text.
fn with_a_hint(error: ConnectError, definition: &StoreDefinition) -> OpenCause {
    let ConnectError::Unreachable { login: Some(login), .. } = &error else { return error.into() };
    match (login, definition.unquoted_password, definition.null_password) {
        (RefusedLogin::Wrong, Some(setting), _) => OpenCause::UnquotedPassword { error, setting },
        (RefusedLogin::Missing, _, Some(setting)) => OpenCause::MissingPassword { error, setting },
        _ => error.into(),
    }
}

fn under_policies(open: OpenedStore, resiliency: &Resiliency) -> OpenedStore {
    let names = resiliency.names_for(&open.name);
    if !names.is_empty() {
        let policy = resiliency.policy_for(&open.name);
        tracing::info!("policies of the store {}: {names} ({policy})", open.name);
    }
    let store = resiliency.apply(&open.name, open.store);
    OpenedStore { store, ..open }
}

fn log(notice: Notice) {
    match notice.level {
        Level::Info => tracing::info!("{notice}"),
        Level::Warning | Level::Error => tracing::warn!("{notice}"),
    }
}
