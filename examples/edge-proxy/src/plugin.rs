//! A plugin: a component that handles HTTP requests. Each call has its own instance and stays within the
//! plugin's limits.

use std::{sync::Arc, time::Duration};

use holdfast::{
    Locks,
    embed::lock::{self, LockCtx, LockView},
};
use hyper::{Request, Response, body::Incoming, http::uri::Authority};
use tokio::sync::{Semaphore, oneshot};
use wasmtime::{
    Engine, Result, Store,
    component::{Component, Linker, ResourceTable},
    error::Context as _,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    WasiHttpCtx, WasiHttpCtxView, WasiHttpView,
    p2::{
        bindings::{ProxyPre, http::types::Scheme},
        body::HyperOutgoingBody,
    },
};

use crate::{
    keyvalue::{self, Values},
    memory::MemoryLimit,
    options::PluginOptions,
    upstream::Upstream,
};

/// How often a plugin that computes yields to other tasks. One thread ticks for all plugins.
pub const TICK: Duration = Duration::from_millis(10);

/// A plugin that is ready to be called.
pub struct Plugin {
    pre: ProxyPre<Call>,
    locks: Locks,
    values: Values,
    upstream: Authority,
    memory: usize,
    deadline: Duration,
    calls: Arc<Semaphore>,
}

/// Why a call gives no response.
#[derive(Debug)]
pub enum Failure {
    /// The plugin has reached its limit of concurrent calls.
    Busy,
    /// The call took longer than the deadline.
    TooLong,
    /// The plugin trapped, reached a limit or returned without a response.
    Trapped(wasmtime::Error),
}

/// The host's state for a call.
struct Call {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    memory: MemoryLimit,
    /// The leases that a call holds end with it.
    locks: LockCtx,
    values: Values,
    upstream: Upstream,
}

impl Plugin {
    /// Loads a plugin. `locks` must be scoped to it and `values` must have its application id.
    pub fn load(
        engine: &Engine,
        options: &PluginOptions,
        upstream: &Authority,
        locks: Locks,
        values: Values,
    ) -> Result<Self> {
        let mut linker = Linker::new(engine);
        // Interpreters import all of WASI. The context of a call gives them no files, sockets, arguments or
        // environment variables.
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        keyvalue::add_to_linker(&mut linker, |call: &mut Call| &mut call.values)?;
        lock::add_to_linker(&mut linker, |call: &mut Call| LockView { ctx: &mut call.locks })?;
        let component = Component::from_file(engine, &options.file)?;
        let pre = linker.instantiate_pre(&component)?;
        Ok(Self {
            pre: ProxyPre::new(pre).context("it does not export wasi:http/incoming-handler")?,
            locks,
            values,
            upstream: upstream.clone(),
            memory: options.memory,
            deadline: options.deadline,
            calls: Arc::new(Semaphore::new(options.calls)),
        })
    }

    /// Calls the plugin with a request that is addressed to the upstream.
    pub async fn call(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<HyperOutgoingBody>, Failure> {
        let permit = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| Failure::Busy)?;
        let mut store = self.store();
        let (sender, response) = oneshot::channel();
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request).map_err(Failure::Trapped)?;
        let out = http.new_response_outparam(sender).map_err(Failure::Trapped)?;

        // A task of its own, because the plugin goes on running after it has sent the head of its response.
        let (pre, deadline) = (self.pre.clone(), self.deadline);
        let call = tokio::spawn(async move {
            let _permit = permit;
            let run = async {
                let proxy = pre.instantiate_async(&mut store).await?;
                proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
            };
            tokio::time::timeout(deadline, run).await
        });
        match response.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(code)) => Err(Failure::Trapped(code.into())),
            Err(_) => Err(match call.await {
                Ok(Err(_)) => Failure::TooLong,
                Ok(Ok(Err(error))) => Failure::Trapped(error),
                Ok(Ok(Ok(()))) => {
                    Failure::Trapped(wasmtime::Error::msg("it returned without a response"))
                }
                Err(panic) => Failure::Trapped(panic.into()),
            }),
        }
    }

    fn store(&self) -> Store<Call> {
        let call = Call {
            wasi: WasiCtx::builder().inherit_stderr().build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            memory: MemoryLimit::new(self.memory),
            locks: LockCtx::new(self.locks.clone()),
            values: self.values.clone(),
            upstream: Upstream::new(self.upstream.clone()),
        };
        let mut store = Store::new(self.pre.engine(), call);
        store.limiter(|call| &mut call.memory);
        // A plugin that never stops computing yields at each tick, so that the deadline can end it.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }
}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Call {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.upstream }
    }
}
