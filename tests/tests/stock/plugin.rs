//! Plugins composed with the lock component and its store in Redis.

use std::fs;

use holdfast_tests::{PLUGIN, prepared, redis_server::RedisServer};
use wac_graph::{CompositionGraph, EncodeOptions, plug, types::Package};
use wasmtime::component::InstancePre;
use wasmtime_wasi::p2::bindings::Command;

use self::program::Program;
use crate::runtime::{Grants, State, link};

mod program {
    wasmtime::component::bindgen!({
        path: ["../wit", "plugin/wit"],
        world: "holdfast:test/program",
        exports: { default: async },
    });
}

fn composed(wasm: &[u8]) -> InstancePre<State> {
    link(&holdfast_compositions::plugin(wasm).unwrap())
}

/// Composed with `holdfast-lock-redis.wasm`, as by `wac plug`.
fn plugged(wasm: Vec<u8>) -> InstancePre<State> {
    let lock = holdfast_compositions::lock_redis().unwrap().wasm;
    let mut graph = CompositionGraph::new();
    let [lock, plugin] = [("lock", lock), ("plugin", wasm)].map(|(name, wasm)| {
        let package = Package::from_bytes(name, None, wasm, graph.types_mut()).unwrap();
        graph.register_package(package).unwrap()
    });
    plug(&mut graph, vec![lock], plugin).unwrap();
    link(&graph.encode(EncodeOptions::default()).unwrap())
}

#[tokio::test]
async fn a_composed_plugin_contains_its_lock_component() {
    let plugin = fs::read(PLUGIN).unwrap();
    for composed in [composed(&plugin), plugged(plugin)] {
        two_instances_exclude_each_other(&composed).await;
    }
}

async fn two_instances_exclude_each_other(composed: &InstancePre<State>) {
    let server = RedisServer::start();
    let grants = Grants::of(&server).with("APP_ID", "edge");
    let mut stores = [grants.store(), grants.store()];
    let mut said = Vec::new();
    for (store, node) in stores.iter_mut().zip(["node1", "node2"]) {
        let instance = composed.instantiate_async(&mut *store).await.unwrap();
        let program = Program::new(&mut *store, &instance).unwrap();
        said.push(program.call_begin(&mut *store, "lockstore", "r", node, 60).await.unwrap());
    }
    assert_eq!(said, ["mine", "another node's"]);
    assert_eq!(server.run::<String>(&["GET", "lock||edge||r"]), "node1");
}

/// The hello plugin in a language, if it is built.
fn hello(language: &str) -> Option<InstancePre<State>> {
    let variable = format!("HOLDFAST_PLUGIN_{}", language.to_uppercase());
    let folder = prepared(&variable, &format!("plugin in {language}"))?;
    Some(composed(&fs::read(folder.join("hello.wasm")).unwrap()))
}

#[tokio::test]
async fn a_composed_plugin_in_rust_is_a_command() {
    let Some(hello) = hello("rust") else {
        return;
    };
    let server = RedisServer::start();
    let mut store = Grants::of(&server).store();
    let instance = hello.instantiate_async(&mut store).await.unwrap();
    let command = Command::new(&mut store, &instance).unwrap();
    assert_eq!(command.wasi_cli_run().call_run(&mut store).await.unwrap(), Ok(()));
    let said = "hello, the lock is mine\nunlock: UnlockStatus::Success\n";
    assert_eq!(store.data().stdout(), said);
    assert_eq!(server.calls("set"), 1);
}

#[tokio::test]
async fn a_composed_plugin_in_javascript_keeps_its_function() {
    let Some(hello) = hello("javascript") else {
        return;
    };
    let server = RedisServer::start();
    let mut store = Grants::of(&server).store();
    let instance = hello.instantiate_async(&mut store).await.unwrap();
    let run = instance.get_typed_func::<(), (String,)>(&mut store, "run").unwrap();
    let (said,) = run.call_async(&mut store, ()).await.unwrap();
    assert_eq!(said, "hello, the lock is mine\nunlock: success");
    assert_eq!(server.calls("set"), 1);
}
