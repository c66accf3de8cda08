//! A host that provides a plugin with locks and WASI: `hello-host PLUGIN.wasm`.
//!
//! Rust's standard library imports WASI even if a plugin uses only locks, so a host links both. Locks are kept
//! in the memory of this process.

use std::{env, sync::Arc};

use holdfast::{
    Locks,
    embed::lock::{self, LockCtx, LockView},
    store::memory::MemoryStore,
};
use wasmtime::{
    Engine, Result, Store,
    component::{Component, Instance, Linker, ResourceTable},
    error::Context as _,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, p2::bindings::Command};

/// The host's state for a plugin.
struct Plugin {
    locks: LockCtx,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Plugin {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = env::args_os().nth(1).context("usage: hello-host PLUGIN.wasm")?;

    let locks = Locks::builder().store("lockstore", Arc::new(MemoryStore::new())).build()?;
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    lock::add_to_linker(&mut linker, |plugin: &mut Plugin| LockView { ctx: &mut plugin.locks })?;

    let plugin = Plugin {
        // The plugin may use only this store, and its locks have keys that no other plugin can reach.
        locks: LockCtx::new(locks.scoped("hello", &["lockstore"])?),
        wasi: WasiCtx::builder().inherit_stdio().build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, plugin);
    let component = Component::from_file(&engine, file)?;
    let instance = linker.instantiate_async(&mut store, &component).await?;
    run(&mut store, &instance).await
}

/// Calls the plugin: `run`, which returns a text, or else `wasi:cli/run`, which a Rust program exports.
async fn run(store: &mut Store<Plugin>, instance: &Instance) -> Result<()> {
    if let Ok(run) = instance.get_typed_func::<(), (String,)>(&mut *store, "run") {
        let (text,) = run.call_async(&mut *store, ()).await?;
        println!("{text}");
        return Ok(());
    }
    let command = Command::new(&mut *store, instance)?;
    let result = command.wasi_cli_run().call_run(store).await?;
    result.map_err(|()| wasmtime::Error::msg("the plugin failed"))
}
