//! The limits of a plugin, and the stores that it may reach.

use std::{path::Path, process::Command};

use holdfast_tests::redis_server::RedisServer;

use crate::node::{Node, Upstream, prepared};

/// The arguments for a plugin whose handler runs this code.
fn plugin(dir: &Path, name: &str, code: &str) -> String {
    let text = format!(
        r#"(component
            (import "wasi:http/types@0.2.0" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $out))
            (core module $code
                (memory 1)
                (func (export "handle") (param i32 i32) {code}))
            (core instance $code (instantiate $code))
            (func $handle (param "request" (own $request)) (param "response-out" (own $out))
                (canon lift (core func $code "handle")))
            (instance $handler (export "handle" (func $handle)))
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    );
    let file = dir.join(name).with_extension("wasm");
    std::fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
    format!("{name}={},app-id={name}", file.display())
}

#[tokio::test]
async fn a_plugin_that_misbehaves_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let redis = RedisServer::start();
    let upstream = Upstream::start(|_, _| 3600).await;
    let loops = plugin(dir.path(), "loops", "(loop (br 0))");
    // 12.5 MiB. If it gets them, it loops instead and fails with another status.
    let grows = "(if (i32.eq (memory.grow (i32.const 200)) (i32.const -1)) (then unreachable))
        (loop (br 0))";
    let mut plugins = vec![
        loops.clone() + ",deadline=200",
        loops.replacen("loops", "single", 1) + ",deadline=1500,calls=1",
        plugin(dir.path(), "grows", grows) + ",memory=8,deadline=1000",
        plugin(dir.path(), "silent", ""),
    ];
    let good = prepared("rust");
    plugins.extend(
        good.iter().map(|file| format!("quote={},app-id=quote,stores=lockstore", file.display())),
    );
    let node = Node::start(&redis, &upstream, &plugins);

    // Several plugins that loop must not stop the others, though there are few threads.
    for _ in 0..8 {
        node.send("/loops");
    }
    if good.is_some() {
        assert_eq!(node.get("/quote/one").await.body, "answer 1");
    }
    let rows = [
        ("/loops", 504, "the plugin took too long\n"),
        ("/grows", 502, "the plugin failed\n"),
        ("/silent", 502, "the plugin failed\n"),
        ("/nobody", 404, "plugin not found\n"),
        ("/", 404, "plugin not found\n"),
    ];
    for (path, status, body) in rows {
        let got = node.get(path).await;
        assert_eq!((got.status, got.body.as_str()), (status, body), "{path}");
    }
    // The plugin may run one call at a time: one of the two is refused.
    let (one, two) = tokio::join!(node.get("/single"), node.get("/single"));
    let mut both = [one.status, two.status];
    both.sort_unstable();
    assert_eq!(both, [503, 504]);
    if good.is_some() {
        assert_eq!(node.get("/quote/two").await.body, "answer 1");
    }
}

#[tokio::test]
async fn plugins_share_neither_locks_nor_values() {
    let Some(file) = prepared("rust") else { return };
    let redis = RedisServer::start();
    let upstream = Upstream::start(|_, _| 3600).await;
    // Other tests compile plugins meanwhile, so a call may take longer than the default allows.
    let plugin = |name: &str, rest: &str| {
        format!("{name}={},app-id={name},deadline=60000{rest}", file.display())
    };
    let plugins = [
        plugin("one", ",stores=lockstore"),
        plugin("two", ",stores=lockstore"),
        plugin("bare", ""),
        plugin("other", ",stores=spare"),
    ];
    let node = Node::start(&redis, &upstream, &plugins);
    for path in ["/one/x?a=b||two||c", "/two/x", "/one/../two/x", "/one//||two||%00/\u{202e}ü"] {
        let got = node.get(path).await;
        assert_eq!((got.status, got.body.as_str()), (200, "answer 1"), "{path}: {got:?}");
    }
    // A plugin that may not use its store gets no lock, and does not ask the upstream.
    for path in ["/bare/x", "/other/x"] {
        assert_eq!(node.get(path).await.status, 503, "{path}");
        assert_eq!(upstream.count(path), 0);
    }
    let mut keys: Vec<String> = redis.run(&["KEYS", "*"]);
    keys.sort_unstable();
    assert!(
        keys.iter().all(|key| key.starts_with("cache||one||") || key.starts_with("cache||two||")),
        "{keys:?}"
    );
    let of_two = keys.iter().filter(|key| key.starts_with("cache||two||")).count();
    assert_eq!((keys.len(), of_two), (3, 1), "{keys:?}");
}

#[test]
fn a_node_that_cannot_start_says_why() {
    let run = |arguments: &[&str]| {
        let mut node = Command::new(env!("CARGO_BIN_EXE_edge-proxy"));
        let output = node.args(["--upstream", "127.0.0.1:1"]).args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let redis = RedisServer::start();
    let address = redis.address();
    let store = format!("lockstore={address}");
    let rows = [
        ("p=no.wasm,app-id=a", "plugin p"),
        ("p=no.wasm,app-id=a,stores=secret", "lock store secret not found"),
        ("p=no.wasm", "app-id is missing"),
    ];
    for (plugin, message) in rows {
        let said = run(&["--cache", &address, "--store", &store, "--plugin", plugin]);
        assert!(said.contains(message), "{said}");
    }
}
