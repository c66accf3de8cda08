//! A plugin in a wasmtime that has locks and WASI.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use holdfast::{
    Locks,
    embed::lock::{self, LockCtx, LockView},
};
use wasmtime::{
    Config, Engine, Store,
    component::{
        Component, InstancePre, Linker, ResourceTable,
        types::{ComponentItem, Type},
    },
};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView, p2::bindings::Command};

use super::{
    super::{
        exit::{FAILURE, NEGATIVE, SUCCESS},
        output,
    },
    file,
};

/// A plugin, compiled and linked.
pub struct Plugin {
    /// Its file, as it was typed.
    file: String,
    /// Its own name for itself: the first of its arguments.
    name: String,
    entry: Entry,
    linked: InstancePre<State>,
}

/// The export that runs a plugin.
enum Entry {
    /// `wasi:cli/run`.
    Command,
    /// `run: func() -> string`.
    Text,
}

/// The state of one instance.
struct State {
    locks: LockCtx,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Plugin {
    pub fn load(path: &Path) -> Result<Self> {
        let wasm = file::read(path)?;
        let file = path.display().to_string();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();

        let engine = Engine::new(&Config::new()).map_err(plain)?;
        let compiled = Component::new(&engine, wasm).map_err(plain);
        let component = compiled.with_context(|| format!("{file} cannot be compiled"))?;
        let entry = Entry::of(&component).with_context(|| {
            format!("{file} exports neither wasi:cli/run nor run: func() -> string")
        })?;

        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(plain)?;
        lock::add_to_linker(&mut linker, |state: &mut State| LockView { ctx: &mut state.locks })
            .map_err(plain)?;
        let linked = linker.instantiate_pre(&component).map_err(plain);
        let linked = linked.with_context(|| {
            format!(
                "{file} has an import that is not lent: plugins get holdfast:lock/lock, holdfast:lock/lease \
                 and wasi:cli/imports@0.2"
            )
        })?;
        Ok(Self { file, name, entry, linked })
    }

    /// Runs an instance to its end, and returns the exit code.
    pub async fn run(&self, locks: Locks, arguments: &[String]) -> Result<u8> {
        // Files, environment and network have to be granted one by one, and none is.
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdio().arg(&self.name).args(arguments);
        let locks = LockCtx::new(locks);
        let state = State { locks, wasi: wasi.build(), table: ResourceTable::new() };
        let mut store = Store::new(self.linked.engine(), state);
        let called = self.call(&mut store).await;
        store.data_mut().locks.release().await;
        let ended = match called {
            Ok(ended) => ended,
            Err(error) => match error.downcast_ref() {
                Some(I32Exit(code)) => return Ok(u8::try_from(*code).unwrap_or(FAILURE)),
                None => return Err(plain(error)).with_context(|| format!("{} trapped", self.file)),
            },
        };
        match ended {
            Ended::Succeeded => Ok(SUCCESS),
            Ended::Failed => Ok(NEGATIVE),
            Ended::Said(text) => {
                output::print(format!("{text}\n").as_bytes())?;
                Ok(SUCCESS)
            }
        }
    }

    async fn call(&self, store: &mut Store<State>) -> wasmtime::Result<Ended> {
        let instance = self.linked.instantiate_async(&mut *store).await?;
        match self.entry {
            Entry::Command => {
                let command = Command::new(&mut *store, &instance)?;
                let ended = command.wasi_cli_run().call_run(store).await?;
                Ok(ended.map_or(Ended::Failed, |()| Ended::Succeeded))
            }
            Entry::Text => {
                let run = instance.get_typed_func::<(), (String,)>(&mut *store, "run")?;
                let (text,) = run.call_async(store, ()).await?;
                Ok(Ended::Said(text))
            }
        }
    }
}

/// How a plugin that was not stopped ended.
enum Ended {
    Succeeded,
    Failed,
    Said(String),
}

impl Entry {
    fn of(component: &Component) -> Option<Self> {
        let (engine, ty) = (component.engine(), component.component_type());
        ty.exports(engine).find_map(|(name, item)| match item.ty {
            ComponentItem::ComponentInstance(_) if name.starts_with("wasi:cli/run@0.2.") => {
                Some(Self::Command)
            }
            ComponentItem::ComponentFunc(run)
                if name == "run" && run.params().len() == 0 && run.results().eq([Type::String]) =>
            {
                Some(Self::Text)
            }
            _ => None,
        })
    }
}

/// An error of wasmtime, which does not implement the trait `Error`, with its causes.
fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}
