//! The component `adapters/redis-store` in a plain wasmtime, as a store.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use holdfast::{
    store::{Acquired, Extended, Failure, Holding, Released, Store},
    types::{AcquireCommand, ExtendCommand, InspectCommand, ReleaseCommand},
};
use holdfast_tests::{STORE, redis_store::Setting};
use tokio::sync::{Mutex, MutexGuard};
use wasmtime::{
    Engine,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use bindings::{StoreProvider, StoreProviderPre};

#[allow(missing_docs)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "store-provider",
        with: { "holdfast:lock/types": ::holdfast::types },
        exports: { default: async },
    });
}

static COMPONENT: LazyLock<StoreProviderPre<Host>> = LazyLock::new(|| {
    let engine = Engine::default();
    let component = Component::from_file(&engine, env!("HOLDFAST_REDIS_STORE"));
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI");
    let instance = linker.instantiate_pre(&component.expect("a component"));
    StoreProviderPre::new(instance.expect("imports of WASI alone")).expect("the exports of a store")
});

/// Instances of the component, which get the calls in turn. As a [`Store`] it is the component's `lockstore`.
pub struct Adapter {
    instances: Vec<Mutex<Instance>>,
    next: AtomicUsize,
}

struct Instance {
    store: wasmtime::Store<Host>,
    component: StoreProvider,
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Adapter {
    /// Starts this many instances with these environment variables and all grants.
    pub async fn start(instances: usize, environment: &[(String, String)]) -> Self {
        let mut started = Vec::new();
        for _ in 0..instances {
            let wasi = WasiCtx::builder()
                .inherit_network()
                .allow_tcp(true)
                .allow_ip_name_lookup(true)
                .envs(environment)
                .build();
            started.push(Mutex::new(Instance::start(wasi).await));
        }
        Self { instances: started, next: AtomicUsize::new(0) }
    }

    /// Starts this many instances with settings, which have the names that a component file has, and all grants.
    pub async fn with_settings(instances: usize, settings: &[Setting<'_>]) -> Self {
        let variable = |(name, value): &Setting| (variable(name), (*value).to_owned());
        Self::start(instances, &settings.iter().map(variable).collect::<Vec<_>>()).await
    }

    /// Starts one instance with these grants.
    pub async fn start_with(wasi: WasiCtx) -> Self {
        let instance = Mutex::new(Instance::start(wasi).await);
        Self { instances: vec![instance], next: AtomicUsize::new(0) }
    }

    /// The stores that the component lists: name, key prefix and application id of each.
    pub async fn stores(&self) -> Vec<(String, Option<String>, String)> {
        let mut instance = self.instance().await;
        let Instance { store, component } = &mut *instance;
        let stores = component.holdfast_lock_store().call_stores(store).await;
        let stores = stores.expect("no trap");
        stores.into_iter().map(|info| (info.name, info.key_prefix, info.app_id)).collect()
    }

    /// Acquires in the store of that name.
    pub async fn acquire_in(
        &self,
        store: &str,
        key: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Acquired, Failure> {
        self.carry_out(AcquireCommand {
            store: store.to_owned(),
            key: key.to_owned(),
            owner: owner.to_owned(),
            ttl: milliseconds(ttl),
            wait: 0,
            fenced: false,
        })
        .await
    }

    /// Carries out an acquire.
    pub async fn carry_out(&self, command: AcquireCommand) -> Result<Acquired, Failure> {
        let mut instance = self.instance().await;
        let Instance { store, component } = &mut *instance;
        let outcome = component.holdfast_lock_store().call_acquire(store, &command).await;
        outcome.expect("no trap")
    }

    /// A fresh owner.
    pub async fn fresh_owner(&self) -> String {
        let mut instance = self.instance().await;
        let Instance { store, component } = &mut *instance;
        component.holdfast_lock_store().call_fresh_owner(store).await.expect("no trap")
    }

    async fn instance(&self) -> MutexGuard<'_, Instance> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.instances[next % self.instances.len()].lock().await
    }
}

/// `REDIS_HOST` for `redisHost`, `REDIS_DB` for `redisDB`.
fn variable(setting: &str) -> String {
    let mut variable = String::new();
    let mut after_small = false;
    for c in setting.chars() {
        if after_small && c.is_ascii_uppercase() {
            variable.push('_');
        }
        after_small = c.is_ascii_lowercase();
        variable.push(c.to_ascii_uppercase());
    }
    variable
}

impl Instance {
    async fn start(wasi: WasiCtx) -> Self {
        let host = Host { wasi, table: ResourceTable::new() };
        let mut store = wasmtime::Store::new(COMPONENT.engine(), host);
        let component = COMPONENT.instantiate_async(&mut store).await.expect("an instance");
        Self { store, component }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a time in 64 bits")
}

impl Store for Adapter {
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(self.acquire_in(STORE, key, owner, ttl))
    }

    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        let command = ReleaseCommand {
            store: STORE.to_owned(),
            key: key.to_owned(),
            owner: owner.to_owned(),
        };
        Box::pin(async move {
            let mut instance = self.instance().await;
            let Instance { store, component } = &mut *instance;
            let outcome = component.holdfast_lock_store().call_release(store, &command).await;
            outcome.expect("no trap")
        })
    }

    fn acquire_fenced<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(self.carry_out(AcquireCommand {
            store: STORE.to_owned(),
            key: key.to_owned(),
            owner: owner.to_owned(),
            ttl: milliseconds(ttl),
            wait: 0,
            fenced: true,
        }))
    }

    fn extend<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
        may_shorten: bool,
    ) -> BoxFuture<'a, Result<Extended, Failure>> {
        let command = ExtendCommand {
            store: STORE.to_owned(),
            key: key.to_owned(),
            owner: owner.to_owned(),
            ttl: milliseconds(ttl),
            may_shorten,
        };
        Box::pin(async move {
            let mut instance = self.instance().await;
            let Instance { store, component } = &mut *instance;
            let outcome = component.holdfast_lock_store().call_extend(store, &command).await;
            outcome.expect("no trap")
        })
    }

    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        let command = InspectCommand { store: STORE.to_owned(), key: key.to_owned() };
        Box::pin(async move {
            let mut instance = self.instance().await;
            let Instance { store, component } = &mut *instance;
            let outcome = component.holdfast_lock_store().call_inspect(store, &command).await;
            outcome.expect("no trap")
        })
    }
}
