//! Dapr's published SDKs, unmodified, with the binary: in each language one program goes through what a
//! lock does, and prints exactly what that SDK makes of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use holdfast_tests::{
    holdfast::Holdfast,
    redis_server::{RedisServer, temporary_dir},
    sdk::{Language, Running, Sdk},
};
use tempfile::TempDir;

const TOKEN: &str = "a token";

/// A folder with the component `lockstore` in Redis.
fn in_redis(redis: &RedisServer) -> TempDir {
    let folder = temporary_dir();
    let file = format!(
        "apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: lockstore
spec:
  type: lock.redis
  version: v1
  metadata:
  - name: redisHost
    value: {}
",
        redis.address(),
    );
    fs::write(folder.path().join("lockstore.yaml"), file).unwrap();
    folder
}

/// Without resources it has a `lockstore` in memory.
fn serve(resources: Option<&TempDir>, token: &str) -> Holdfast {
    let folder = resources.map(|folder| folder.path().to_str().unwrap());
    let mut arguments = vec!["--app-id", "app1"];
    arguments.extend(folder.iter().flat_map(|folder| ["--resources-path", folder]));
    Holdfast::serve_with_token(Path::new(env!("CARGO_BIN_EXE_holdfast")), &arguments, token)
}

/// Tells a program the ports.
fn at_ports<'a>(program: &'a mut Command, holdfast: &Holdfast) -> &'a mut Command {
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    program
        .env("DAPR_HTTP_PORT", port(holdfast.http()))
        .env("DAPR_GRPC_PORT", port(holdfast.grpc()))
}

/// Tells a program the whole addresses.
fn at_endpoints<'a>(program: &'a mut Command, holdfast: &Holdfast) -> &'a mut Command {
    program
        .env("DAPR_HTTP_ENDPOINT", format!("http://{}", holdfast.http()))
        .env("DAPR_GRPC_ENDPOINT", format!("http://{}", holdfast.grpc()))
}

/// The program `locks` with these arguments prints what the files say.
fn check(language: Language, arguments: &[&str], expected: &str, refused: &str) {
    let Some(sdk) = Sdk::prepared(language) else { return };
    let locks = || {
        let mut locks = sdk.program("locks");
        locks.args(arguments);
        locks
    };
    let (expected, refused) = (sdk.expected(expected), sdk.expected(refused));

    let in_memory = serve(None, "");
    let mut program = locks();
    at_ports(&mut program, &in_memory);
    assert_eq!(Running::start(program).output(), expected, "in memory");

    let redis = RedisServer::start();
    let with_redis = serve(Some(&in_redis(&redis)), TOKEN);
    let mut program = locks();
    at_endpoints(&mut program, &with_redis).env("DAPR_API_TOKEN", TOKEN);
    assert_eq!(Running::start(program).output(), expected, "in Redis, with a token");

    let mut program = locks();
    at_ports(&mut program, &with_redis);
    assert_eq!(Running::start(program).output(), refused, "without the token");
}

#[test]
fn go() {
    check(Language::Go, &[], "expected.txt", "refused.txt");
}

#[test]
fn java() {
    check(Language::Java, &[], "expected.txt", "refused.txt");
}

#[test]
fn javascript_over_http() {
    check(Language::JavaScript, &["http"], "expected-http.txt", "refused.txt");
}

#[test]
fn javascript_over_grpc() {
    check(Language::JavaScript, &["grpc"], "expected-grpc.txt", "refused.txt");
}

#[test]
fn python() {
    check(Language::Python, &[], "expected.txt", "refused.txt");
}

#[test]
fn rust() {
    check(Language::Rust, &[], "expected.txt", "refused.txt");
}

#[test]
fn of_two_sdks_on_two_processes_one_gets_the_lock() {
    let (Some(go), Some(python)) = (Sdk::prepared(Language::Go), Sdk::prepared(Language::Python))
    else {
        return;
    };
    let redis = RedisServer::start();
    let resources = in_redis(&redis);
    let holdfasts = [serve(Some(&resources), ""), serve(Some(&resources), "")];
    let contend = |sdk: &Sdk, holdfast| {
        let mut program = sdk.program("contend");
        at_ports(&mut program, holdfast);
        Running::start(program)
    };
    let mut contenders = [contend(&go, &holdfasts[0]), contend(&python, &holdfasts[1])];
    for contender in &contenders {
        assert_eq!(contender.read_line(), "ready");
    }
    for round in 0..100 {
        let resource = format!("r{round}");
        for contender in &mut contenders {
            contender.write_line(&resource);
        }
        let taken = contenders.each_ref().map(|contender| contender.read_line() == "true");
        assert!(taken[0] != taken[1], "{resource}: {taken:?}");
        let owner = if taken[0] { "go" } else { "python" };
        assert_eq!(redis.run::<String>(&["GET", &format!("lock||app1||{resource}")]), owner);
    }
}
