//! A wasmtime whose linker has only WASI.

use std::sync::LazyLock;

use holdfast_compositions::{Composition, Error};
use holdfast_tests::redis_server::RedisServer;
use wasmtime::{
    Engine, Store,
    component::{Component, InstancePre, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// A composition, compiled and linked once for all tests.
pub struct Program(LazyLock<InstancePre<State>>);

pub static LOCK_REDIS: Program =
    Program(LazyLock::new(|| linked(holdfast_compositions::lock_redis())));
pub static LOCK_HTTP: Program =
    Program(LazyLock::new(|| linked(holdfast_compositions::lock_http())));
pub static LOCK_CLI: Program = Program(LazyLock::new(|| linked(holdfast_compositions::lock_cli())));

impl Program {
    pub fn pre(&self) -> &InstancePre<State> {
        &self.0
    }
}

fn linked(composition: Result<Composition, Error>) -> InstancePre<State> {
    link(&composition.unwrap().wasm)
}

/// Compiles a component and links it with WASI alone.
pub fn link(wasm: &[u8]) -> InstancePre<State> {
    let component = Component::new(&ENGINE, wasm).unwrap();
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    linker.instantiate_pre(&component).unwrap()
}

pub fn engine() -> &'static Engine {
    &ENGINE
}

/// The grants of an instance.
#[derive(Clone, Default)]
pub struct Grants {
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
    pub network: bool,
}

impl Grants {
    /// Grants the network, and sets `REDIS_HOST` to a server.
    pub fn of(server: &RedisServer) -> Self {
        Self::to(&server.address())
    }

    /// Grants the network, and sets `REDIS_HOST`.
    pub fn to(address: &str) -> Self {
        Self { network: true, ..Self::default() }.with("REDIS_HOST", address)
    }

    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.to_owned(), value.to_owned()));
        self
    }

    pub fn store(&self) -> Store<State> {
        let (stdout, stderr) = (MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(1 << 20));
        let mut wasi = WasiCtxBuilder::new();
        wasi.envs(&self.environment).args(&self.arguments);
        wasi.stdout(stdout.clone()).stderr(stderr.clone());
        if self.network {
            wasi.inherit_network().allow_tcp(true);
        }
        let state = State {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            stdout,
            stderr,
        };
        Store::new(&ENGINE, state)
    }
}

/// The state of one instance.
pub struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    stdout: MemoryOutputPipe,
    stderr: MemoryOutputPipe,
}

impl State {
    pub fn stdout(&self) -> String {
        String::from_utf8(self.stdout.contents().to_vec()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.stderr.contents().to_vec()).unwrap()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: Default::default() }
    }
}
