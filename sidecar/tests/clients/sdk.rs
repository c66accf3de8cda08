//! Dapr's published SDKs, unmodified: in each language a program makes every kind of call and prints what the
//! SDK returns.

use std::process::Command;

use holdfast_tests::{
    holdfast::Holdfast,
    redis_server::RedisServer,
    resources::Resources,
    sdk::{Language, Running, Sdk},
};

use crate::HOLDFAST;

const TOKEN: &str = "a token";

/// Serves resources; without them, a `lockstore` in memory.
fn serve(resources: Option<&Resources>, token: &str) -> Holdfast {
    let mut arguments = vec!["--app-id", "app1"];
    arguments.extend(resources.iter().flat_map(|folder| ["--resources-path", folder.path()]));
    Holdfast::serve_in(&[("DAPR_API_TOKEN", token)], HOLDFAST, &arguments)
}

/// Gives a program the ports of a server.
fn at_ports<'a>(program: &'a mut Command, holdfast: &Holdfast) -> &'a mut Command {
    let port = |address: String| address.rsplit_once(':').unwrap().1.to_owned();
    program
        .env("DAPR_HTTP_PORT", port(holdfast.http()))
        .env("DAPR_GRPC_PORT", port(holdfast.grpc()))
}

/// Gives a program the URLs of a server.
fn at_endpoints<'a>(program: &'a mut Command, holdfast: &Holdfast) -> &'a mut Command {
    program
        .env("DAPR_HTTP_ENDPOINT", format!("http://{}", holdfast.http()))
        .env("DAPR_GRPC_ENDPOINT", format!("http://{}", holdfast.grpc()))
}

/// Checks that the program `locks` with these arguments prints the content of these files: `expected` with the right
/// token and `refused` without it.
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
    let with_redis = serve(Some(&Resources::in_redis(&redis, &[])), TOKEN);
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
fn two_sdks_on_two_processes_exclude_each_other() {
    let (Some(go), Some(python)) = (Sdk::prepared(Language::Go), Sdk::prepared(Language::Python))
    else {
        return;
    };
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
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
