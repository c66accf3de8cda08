//! A plugin composed with `holdfast-lock-redis.wasm`, as by `wac plug`.

use holdfast_tests::redis_server::RedisServer;
use wac_graph::{CompositionGraph, EncodeOptions, plug, types::Package};
use wasmtime::component::InstancePre;

use self::program::Program;
use crate::runtime::{Grants, State, link};

mod program {
    wasmtime::component::bindgen!({
        path: ["../wit", "plugin/wit"],
        world: "holdfast:test/program",
        exports: { default: async },
    });
}

fn plugged() -> InstancePre<State> {
    let plugin = std::fs::read(env!("HOLDFAST_TEST_PLUGIN")).unwrap();
    let lock = holdfast_compositions::lock_redis().unwrap().wasm;
    let mut graph = CompositionGraph::new();
    let [lock, plugin] = [("lock", lock), ("plugin", plugin)].map(|(name, wasm)| {
        let package = Package::from_bytes(name, None, wasm, graph.types_mut()).unwrap();
        graph.register_package(package).unwrap()
    });
    plug(&mut graph, vec![lock], plugin).unwrap();
    link(&graph.encode(EncodeOptions::default()).unwrap())
}

#[tokio::test]
async fn a_composed_plugin_contains_its_lock_component() {
    let server = RedisServer::start();
    let plugged = plugged();
    let grants = Grants::of(&server).with("APP_ID", "edge");
    let mut stores = [grants.store(), grants.store()];
    let mut said = Vec::new();
    for (store, node) in stores.iter_mut().zip(["node1", "node2"]) {
        let instance = plugged.instantiate_async(&mut *store).await.unwrap();
        let program = Program::new(&mut *store, &instance).unwrap();
        said.push(program.call_begin(&mut *store, "lockstore", "r", node, 60).await.unwrap());
    }
    assert_eq!(said, ["mine", "another node's"]);
    assert_eq!(server.run::<String>(&["GET", "lock||edge||r"]), "node1");
}
