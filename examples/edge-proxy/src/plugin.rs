//! A plugin: a component that handles HTTP requests, each call in an instance of its own and within
//! the plugin's limits.

use std::{sync::Arc, time::Duration};

use holdfast::{
    Locks,
    embed::lock::{self, LockView},
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
    memory::Memory,
    options::PluginOptions,
    upstream::Upstream,
};

/// How often computing plugins let others run; also what one thread does for all of them.
pub const TICK: Duration = Duration::from_millis(10);

/// A plugin, ready to be called.
pub struct Plugin {
    pre: ProxyPre<Call>,
    locks: Locks,
    values: Values,
    upstream: Authority,
    memory: usize,
    deadline: Duration,
    calls: Arc<Semaphore>,
}

/// Why a call has no response.
#[derive(Debug)]
pub enum Failed {
    /// As many calls as the plugin may have are running.
    Busy,
    /// The call took longer than the plugin may.
    TooLong,
    /// The plugin failed or was stopped.
    Stopped(wasmtime::Error),
}

/// The host's state of one call.
struct Call {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    memory: Memory,
    locks: Locks,
    values: Values,
    upstream: Upstream,
}

impl Plugin {
    /// Loads a plugin. `locks` must be scoped to it, and `values` its own.
    pub fn load(
        engine: &Engine,
        options: &PluginOptions,
        upstream: &Authority,
        locks: Locks,
        values: Values,
    ) -> Result<Self> {
        let mut linker = Linker::new(engine);
        // The context below lends no file, socket, argument or variable. Interpreters want the interfaces.
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        keyvalue::add_to_linker(&mut linker, |call: &mut Call| &mut call.values)?;
        lock::add_to_linker(&mut linker, |call: &mut Call| LockView { locks: &call.locks })?;
        let component = Component::from_file(engine, &options.file)?;
        let pre = linker.instantiate_pre(&component)?;
        Ok(Self {
            pre: ProxyPre::new(pre).context("it handles no HTTP requests")?,
            locks,
            values,
            upstream: upstream.clone(),
            memory: options.memory,
            deadline: options.deadline,
            calls: Arc::new(Semaphore::new(options.calls)),
        })
    }

    /// Has the plugin answer a request, which it sees as the upstream would.
    pub async fn call(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<HyperOutgoingBody>, Failed> {
        let permit = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| Failed::Busy)?;
        let mut store = self.store();
        let (sender, response) = oneshot::channel();
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request).map_err(Failed::Stopped)?;
        let out = http.new_response_outparam(sender).map_err(Failed::Stopped)?;

        // Of its own, because a plugin goes on after the head of its response.
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
            Ok(Err(code)) => Err(Failed::Stopped(code.into())),
            Err(_) => Err(match call.await {
                Ok(Err(_)) => Failed::TooLong,
                Ok(Ok(Err(error))) => Failed::Stopped(error),
                Ok(Ok(Ok(()))) => Failed::Stopped(wasmtime::Error::msg("it gave no response")),
                Err(panic) => Failed::Stopped(panic.into()),
            }),
        }
    }

    fn store(&self) -> Store<Call> {
        let call = Call {
            wasi: WasiCtx::builder().inherit_stderr().build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            memory: Memory::new(self.memory),
            locks: self.locks.clone(),
            values: self.values.clone(),
            upstream: Upstream::new(self.upstream.clone()),
        };
        let mut store = Store::new(self.pre.engine(), call);
        store.limiter(|call| &mut call.memory);
        // A plugin that computes for ever comes back here, where the deadline ends it.
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
